-- name: asks_to_remind_of
SELECT i.invitation_id, i.person, i.sealed, i.message, clock_timestamp() + make_interval(secs => $2 * 86400) AS remind_at
FROM invitation AS i
WHERE i.invitation_id = ANY($1::uuid[]) AND i.kind = 'ask' AND i.state IN ('calling', 'in_doubt') AND i.sealed IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM answered AS a WHERE a.delivery_id = i.delivery_id)

-- name: plan_reminders
INSERT INTO invitation (invitation_id, delivery_id, kind, state, person, channel, language, due_at, occurred_at,
                        token_sha256, sealed, message, traceparent)
SELECT r.reminder, i.delivery_id, 'reminder', 'planned', i.person, i.channel, i.language, r.due_at, i.occurred_at,
       i.token_sha256, r.sealed, i.message, i.traceparent
FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::timestamptz[]) AS r (ask, reminder, sealed, due_at)
JOIN invitation AS i ON i.invitation_id = r.ask
ON CONFLICT (delivery_id, kind) DO NOTHING
