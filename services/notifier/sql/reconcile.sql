-- name: undecided_of
SELECT d FROM unnest($1::text[]) AS d WHERE NOT EXISTS (SELECT 1 FROM decision WHERE delivery_id = d AND kind = 'ask')

-- name: scheduled_without_invitation
SELECT d.delivery_id FROM decision AS d
WHERE d.kind = 'ask' AND d.outcome = 'scheduled'
  AND NOT EXISTS (SELECT 1 FROM invitation AS i WHERE i.delivery_id = d.delivery_id AND i.kind = 'ask')
  AND NOT EXISTS (SELECT 1 FROM dropped_month AS m WHERE d.decided_at >= m.starts AND d.decided_at < m.ends) LIMIT $1

-- name: invitation_without_decision
SELECT i.delivery_id FROM invitation AS i
WHERE i.kind = 'ask' AND NOT EXISTS (
    SELECT 1 FROM decision AS d
    WHERE d.delivery_id = i.delivery_id AND d.kind = 'ask' AND d.outcome = 'scheduled') LIMIT $1

-- name: tables_counted
-- The tables themselves, row by row, to compare with what was counted as it changed.
SELECT 'delivered' AS state, '' AS reason, count(*) AS n FROM decision WHERE kind = 'ask'
UNION ALL
SELECT 'suppressed', reason, count(*) FROM decision WHERE kind = 'ask' AND outcome = 'suppressed' GROUP BY reason
UNION ALL
SELECT state, CASE WHEN state = 'withheld' THEN reason ELSE '' END, count(*) FROM invitation WHERE kind = 'ask' GROUP BY 1, 2
UNION ALL
SELECT state, reason, sum(n)::bigint FROM dropped_month GROUP BY state, reason

-- name: read_up_to
SELECT part, next FROM progress WHERE topic = $1
