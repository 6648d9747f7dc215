-- name: asks_to_remind_of
-- Those that are settled next, in the same transaction: whoever settles one of them too waits for its lock, finds it
-- settled, and plans no second reminder.
SELECT i.invitation_id, i.person, i.sealed, i.message, coalesce(i.called_at, clock_timestamp()) AS called_at,
       clock_timestamp() AS now
FROM unnest($1::uuid[], $2::int[]) AS s (invitation_id, fence)
JOIN invitation AS i ON i.invitation_id = s.invitation_id AND i.fence = s.fence
WHERE i.kind = 'ask' AND i.state IN ('calling', 'in_doubt') AND i.sealed IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM answered AS a WHERE a.delivery_id = i.delivery_id)
FOR UPDATE OF i

-- name: plan_reminders
-- Of the message only what a reminder says: what is told stands with its request.
INSERT INTO invitation (invitation_id, delivery_id, kind, state, person, channel, language, due_at, occurred_at,
                        token_sha256, sealed, message, traceparent)
SELECT r.reminder, i.delivery_id, 'reminder', 'planned', i.person, i.channel, i.language, r.due_at, i.occurred_at,
       i.token_sha256, r.sealed, json_strip_nulls(json_build_object('delivery', i.message -> 'delivery',
                                                                     'snapshot', i.message -> 'snapshot')), i.traceparent
FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::timestamptz[]) AS r (ask, reminder, sealed, due_at)
JOIN invitation AS i ON i.invitation_id = r.ask

-- name: reminded
-- The requests of reminders, each in a revision of its own, with the moment at which its reminder was called.
UPDATE invitation AS a SET revision = a.revision + 1
FROM unnest($1::uuid[]) AS l (reminder)
CROSS JOIN LATERAL (SELECT i.delivery_id, i.called_at FROM invitation AS i WHERE i.invitation_id = l.reminder LIMIT 1) AS r
WHERE a.delivery_id = r.delivery_id AND a.kind = 'ask' AND a.state = 'accepted'
RETURNING a.delivery_id, a.kind, a.revision, a.message, a.traceparent, r.called_at
