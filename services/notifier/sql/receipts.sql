-- name: lock_reported
SELECT invitation_id, person, channel, progress FROM invitation WHERE invitation_id = $1 FOR UPDATE

-- name: keep_receipt
-- All reports of an invitation wait for the lock on it, so this looks at every one before it, in whichever month.
INSERT INTO receipt (provider, message_id, status, invitation_id, reason, sealed, progress)
SELECT $1::text, $2::text, $3::text, $4::uuid, $5::text, $6::bytea, $7::text
WHERE NOT EXISTS (SELECT FROM receipt
                  WHERE invitation_id = $4::uuid AND provider = $1::text AND message_id = $2::text AND status = $3::text)
ON CONFLICT DO NOTHING
RETURNING true

-- name: is_another_message
-- Whether a provider's message was first said to be taken just now, and another one of the same request before it.
SELECT count(*) FILTER (WHERE provider = $2 AND message_id = $3) = 1
       AND count(*) FILTER (WHERE provider <> $2 OR message_id <> $3) > 0
FROM receipt WHERE invitation_id = $1 AND progress <> 'undelivered'

-- name: move_progress
UPDATE invitation SET progress = $2 WHERE invitation_id = $1

-- name: tell_reached
-- Beside the decision and not as a revision of it: a send may be settling its own at this moment. It counts where the
-- delivery was decided about, whatever was corrected since.
INSERT INTO outbox (shard, topic, key, value, traceparent)
SELECT hashtext(delivery_id) & 3, 'invitation.progress.v1', convert_to(delivery_id, 'UTF8'),
       convert_to(json_build_object(
           'invitation_id', invitation_id, 'step', 'reached', 'delivery',
           coalesce(message -> 'snapshot', message -> 'delivery'), 'channel', channel,
           'language', language, 'at', clock_timestamp()
       )::text, 'UTF8'),
       traceparent
FROM invitation WHERE invitation_id = $1

-- name: mark_unreachable
INSERT INTO unreachable AS u (person, reason, until, invitation_id)
VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3), $4)
ON CONFLICT (person) DO UPDATE SET reason = excluded.reason, reported_at = excluded.reported_at,
    until = greatest(u.until, excluded.until), invitation_id = excluded.invitation_id

-- name: reach_again
DELETE FROM unreachable WHERE person = $1 AND invitation_id = $2

-- name: doubt_retry
-- The provider refused for now, and has the message after all: no second one leaves.
UPDATE invitation SET state = 'in_doubt', fence = fence + 1
WHERE invitation_id = $1 AND state IN ('planned', 'claimed') AND attempts > 0

-- name: unreachable
SELECT person, until FROM unreachable WHERE person = ANY($1::bytea[]) AND until > clock_timestamp()
