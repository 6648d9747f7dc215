-- name: decision_to_explain
SELECT d.delivery_id, d.decided_at, d.reason, d.matched, d.evidence, d.next_eligible_at,
       i.state, i.reason AS state_reason, i.channel, i.language, i.due_at, i.settled_at, i.progress,
       i.invitation_id IS NULL AND EXISTS (
           SELECT FROM dropped_month AS m WHERE d.decided_at >= m.starts AND d.decided_at < m.ends) AS dropped
FROM decision AS d LEFT JOIN invitation AS i USING (delivery_id, kind)
WHERE d.delivery_id = $1 AND d.kind = 'ask'
