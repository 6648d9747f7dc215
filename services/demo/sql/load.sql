-- name: outcomes
SELECT d.outcome, i.state, i.due_at > clock_timestamp() AS later, count(*) AS n
FROM notifier.decision AS d LEFT JOIN notifier.invitation AS i USING (delivery_id, kind)
WHERE d.kind = 'ask' AND d.delivery_id = ANY($1::text[])
GROUP BY d.outcome, i.state, later

-- name: counted
SELECT response_id, revision FROM aggregator.answer WHERE response_id = ANY($1::uuid[])
