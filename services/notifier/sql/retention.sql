-- name: viewer_messages_due
SELECT count(*) FROM viewer_message WHERE created_at < clock_timestamp() - make_interval(secs => $1)

-- name: viewer_messages
DELETE FROM viewer_message WHERE id IN (
    SELECT id FROM viewer_message WHERE created_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY id LIMIT $2
)

-- name: secrets_due
SELECT count(*) FROM open_send JOIN invitation USING (invitation_id)
WHERE sealed IS NOT NULL AND occurred_at < clock_timestamp() - make_interval(secs => $1)

-- name: secrets
-- Addresses and tokens of requests that never left; their fate is still decided by the claim. What is settled has none.
UPDATE invitation SET sealed = NULL WHERE invitation_id IN (
    SELECT i.invitation_id FROM open_send AS o JOIN invitation AS i USING (invitation_id)
    WHERE i.sealed IS NOT NULL AND i.occurred_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY i.occurred_at LIMIT $2
    FOR UPDATE OF i SKIP LOCKED
)

-- name: unreachable_due
SELECT count(*) FROM unreachable WHERE until < clock_timestamp() - make_interval(secs => $1)

-- name: unreachable
-- $1 is counted from the moment until which it was believed.
DELETE FROM unreachable WHERE person IN (
    SELECT person FROM unreachable WHERE until < clock_timestamp() - make_interval(secs => $1) LIMIT $2
)

-- name: erasures_pending
SELECT count(*) FROM outbox JOIN outbox_waiting USING (id) WHERE topic = 'person.erased.v1'
