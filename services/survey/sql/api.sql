-- name: add_client
INSERT INTO api_client (client_id, name, prefix, secret_sha256, scopes, place, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: all_clients
SELECT * FROM api_client ORDER BY created_at, client_id

-- name: revoke_client
UPDATE api_client SET revoked_at = coalesce(revoked_at, $2) WHERE prefix = $1 RETURNING client_id

-- name: client_with_prefix
SELECT * FROM api_client WHERE prefix = $1

-- name: forget_old_requests
DELETE FROM request_once WHERE (owner, key) IN (
    SELECT owner, key FROM request_once
    WHERE taken_at < $1::timestamptz - interval '1 day'
    ORDER BY taken_at LIMIT 100
    FOR UPDATE SKIP LOCKED
)

-- name: take_request
INSERT INTO request_once AS r (owner, key, body_sha256, taken_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (owner, key) DO UPDATE SET taken_at = excluded.taken_at
    WHERE r.reply IS NULL AND r.body_sha256 = excluded.body_sha256
          AND r.taken_at < excluded.taken_at - interval '1 minute'
RETURNING true

-- name: request_taken
SELECT body_sha256, reply FROM request_once WHERE owner = $1 AND key = $2

-- name: keep_reply
UPDATE request_once SET reply = $3 WHERE owner = $1 AND key = $2

-- name: forget_request
DELETE FROM request_once WHERE owner = $1 AND key = $2 AND reply IS NULL

-- name: keep_own_response
INSERT INTO api_response (client_id, response_id) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: token_of_own_response
-- `erased`: what a process of an earlier version erased may still be open.
SELECT i.token_sha256, EXISTS (SELECT FROM person_key AS k WHERE k.person = decode(i.person_id, 'hex')
                               AND k.erased_at >= (i.delivery ->> 'occurred_at')::timestamptz) AS erased
FROM api_response AS a JOIN invitation AS i ON i.invitation_id = a.response_id
WHERE a.client_id = $1 AND a.response_id = $2

-- name: lock_kiosk
SELECT client_id FROM api_client WHERE client_id = $1 FOR NO KEY UPDATE

-- name: known_tap
SELECT body_sha256, response_id, revision FROM kiosk_tap WHERE client_id = $1 AND key_sha256 = $2

-- name: know_tap
INSERT INTO kiosk_tap (client_id, key_sha256, body_sha256, response_id, revision) VALUES ($1, $2, $3, $4, $5)

-- name: latest_tap
SELECT response_id, revision, score, answered_at, changed_at, visit, tap FROM kiosk_response
WHERE client_id = $1 ORDER BY changed_at DESC LIMIT 1

-- name: tap_of_visit
SELECT response_id, revision, score, answered_at, changed_at, visit, tap FROM kiosk_response
WHERE client_id = $1 AND visit = $2

-- name: touch_tap
UPDATE kiosk_response SET changed_at = $2, tap = $3 WHERE response_id = $1

-- name: keep_tap
WITH kept AS (
    INSERT INTO kiosk_response (response_id, client_id, revision, score, answered_at, changed_at, visit, tap)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (response_id) DO UPDATE
        SET revision = excluded.revision, score = excluded.score, changed_at = excluded.changed_at,
            tap = excluded.tap
    RETURNING response_id
)
INSERT INTO outbox (shard, topic, key, value)
SELECT hashtext(response_id::text) & 3, 'response.recorded.v1', convert_to(response_id::text, 'UTF8'), $9 FROM kept

-- name: invitation_of_reply
-- The one whose answer this very message ($2) became part of before; else what the person got a message about last, and
-- is open. One that is only planned counts where nothing is known to have been sent, for what tells that it was may be on
-- its way. Where the last one takes no answers any more, the reply may be about one before, but changes no answer to it.
-- Nor one to a delivery before an erasure, which a process of an earlier version may have left open.
SELECT i.token_sha256, this.before
FROM invitation AS i LEFT JOIN response AS r ON r.response_id = i.invitation_id
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM unnest(r.tried) AS t (attempt) WHERE substr(t.attempt, 1, 8) = substr($2::bytea, 1, 8))
) AS this (before)
WHERE i.person_id = $1
  AND NOT EXISTS (SELECT FROM person_key AS k WHERE k.person = decode($1, 'hex')
                  AND k.erased_at >= (i.delivery ->> 'occurred_at')::timestamptz)
  AND (this.before
       OR i.expires_at > clock_timestamp()
          AND (r.response_id IS NULL
               OR i.asked_at IS NOT DISTINCT FROM (SELECT max(l.asked_at) FROM invitation AS l WHERE l.person_id = $1)))
ORDER BY this.before DESC, i.asked_at DESC NULLS LAST, i.expires_at DESC LIMIT 1

-- name: stop_person
-- A person may say STOP whether or not there is an invitation; said again, it changes nothing.
WITH kept AS (
    INSERT INTO preference AS p (person_id, revision, never, most_per_year, only_channel, changed_at)
    VALUES ($1, 1, true, NULL, NULL, $2)
    ON CONFLICT (person_id) DO UPDATE SET
        revision = p.revision + 1,
        never = true,
        changed_at = greatest(excluded.changed_at, p.changed_at + interval '1 microsecond') -- as `prefer` tells
    WHERE NOT p.never
    RETURNING new.*
)
INSERT INTO outbox (shard, topic, key, value)
SELECT hashtext(k.person_id) & 3, 'preference.changed.v1', convert_to(k.person_id, 'UTF8'),
       convert_to(json_build_object(
           'person_id', k.person_id, 'revision', k.revision, 'never', k.never, 'most_per_year', k.most_per_year,
           'only_channel', k.only_channel, 'source', $3::text, 'changed_at', k.changed_at
       )::text, 'UTF8')
FROM kept AS k
