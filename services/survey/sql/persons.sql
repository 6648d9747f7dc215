-- name: persons_of_links
SELECT i.token_sha256, k.person AS known, k.wrapped, k.erased_at, decode(i.person_id, 'hex') AS person
FROM invitation AS i LEFT JOIN person_key AS k ON k.person = decode(i.person_id, 'hex')
WHERE i.token_sha256 = ANY($1::bytea[])

-- name: erase_responses
-- Score, facts and the moment stay; the next revision says that the person's data are gone. What was delivered after the
-- person asked for it ($2) belongs to a new relation, however late we hear of the erasure.
UPDATE response AS r
SET comment_sealed = NULL, comment_digest = NULL, masked_words = NULL, tried = NULL, wants_contact = NULL, erased = true,
    revision = greatest(r.revision, (SELECT coalesce(max(above), 0) FROM first_revision)) + 1
FROM invitation AS i
WHERE i.invitation_id = r.response_id AND i.person_id = $1 AND NOT r.erased
  AND ((i.delivery ->> 'occurred_at')::timestamptz > $2) IS NOT TRUE
RETURNING r.response_id

-- name: break_links
-- The row stays, so that an invitation told again is known; its link leads nowhere any more. Nor does it take an answer
-- from who needs no link: a text message, or an app that knows the answer's id.
UPDATE invitation SET token_sha256 = sha256(uuid_send(gen_random_uuid())), check_digest = NULL,
    expires_at = least(expires_at, clock_timestamp())
WHERE person_id = $1 AND ((delivery ->> 'occurred_at')::timestamptz > $2) IS NOT TRUE
