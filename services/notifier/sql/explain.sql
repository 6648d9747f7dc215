-- name: decision_to_explain
SELECT d.delivery_id, d.decided_at, d.reason, d.matched, d.evidence, d.next_eligible_at,
       i.state, i.reason AS state_reason, i.channel, i.language, i.due_at, i.settled_at, i.progress
FROM decision AS d LEFT JOIN invitation AS i USING (delivery_id, kind)
WHERE d.delivery_id = $1 AND d.kind = 'ask'
