-- name: lock_learning
-- Shared by all that learn of invitations, held alone by who erases: an erasure sees every invitation that was learned of
-- before it, and whoever learns after it sees what it has left. One lock for a batch; erasures are few.
SELECT pg_advisory_xact_lock_shared(hashtextextended('invitations of ' || current_schema(), 0))

-- name: lock_erasing
SELECT pg_advisory_xact_lock(hashtextextended('invitations of ' || current_schema(), 0))

-- name: note_unread_link
-- As long as its dead letter can be replayed. An invitation that is known has only a later word of it put aside.
WITH gone AS (DELETE FROM unread_link WHERE put_aside_at < clock_timestamp() - interval '14 days' AND token_sha256 <> $1)
INSERT INTO unread_link AS u (token_sha256, check_digest)
SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM invitation WHERE token_sha256 = $1)
ON CONFLICT (token_sha256) DO UPDATE SET
    put_aside_at = excluded.put_aside_at, given_up = false, check_digest = coalesce(excluded.check_digest, u.check_digest)

-- name: is_unread_link
SELECT EXISTS (SELECT FROM unread_link
               WHERE token_sha256 = $1 AND NOT given_up AND put_aside_at > clock_timestamp() - interval '14 days')

-- name: make_told_link
CREATE TEMP TABLE told_link (token_sha256 bytea NOT NULL, goes boolean NOT NULL)

-- name: tell_link
INSERT INTO told_link VALUES ($1, $2)

-- name: give_up_links
-- The rows stay as long as others, for who asks whether a message is ours.
WITH gone AS (SELECT token_sha256 FROM told_link WHERE goes EXCEPT SELECT token_sha256 FROM told_link WHERE NOT goes)
UPDATE unread_link AS u SET given_up = true FROM gone WHERE u.token_sha256 = gone.token_sha256 AND NOT u.given_up

-- name: keep_invitations
WITH read AS (DELETE FROM unread_link WHERE token_sha256 = ANY($1::bytea[]))
INSERT INTO invitation (token_sha256, invitation_id, expires_at, channel, language, survey, brand, delivery, traceparent,
                        person_id, rated, check_digest, snapshot)
SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::json[],
                     $9::text[], $10::text[], $11::text[], $12::bytea[], $13::json[])
    AS i (token_sha256, invitation_id, expires_at, channel, language, survey, brand, delivery, traceparent, person_id, rated,
          check_digest, snapshot)
-- What is from before the person's erasure does not come back, however late it is told.
WHERE NOT EXISTS (SELECT FROM person_key AS k WHERE k.person = decode(i.person_id, 'hex')
                  AND k.erased_at >= (i.delivery ->> 'occurred_at')::timestamptz)
  -- Nor does a dead link that has gone: retention does not look there again.
  AND (i.expires_at < clock_timestamp() AND i.invitation_id <= (SELECT up_to FROM dead_link_position)) IS NOT TRUE
ON CONFLICT DO NOTHING

-- name: correct_invitations
-- Facts that upstream corrected before the message left, and the questions that they call for. What was answered keeps
-- those that it was answered with. The snapshot of the decision stays: whatever is corrected, a delivery counts in one
-- place.
UPDATE invitation AS i SET delivery = n.delivery, survey = n.survey, rated = n.rated, snapshot = n.snapshot
FROM unnest($1::uuid[], $2::json[], $3::text[], $4::text[], $5::json[])
    AS n (invitation_id, delivery, survey, rated, snapshot)
WHERE i.invitation_id = n.invitation_id AND i.delivery::jsonb <> n.delivery::jsonb
  AND NOT EXISTS (SELECT FROM response AS r WHERE r.response_id = i.invitation_id)

-- name: note_asked
UPDATE invitation AS i SET asked_at = n.at
FROM unnest($1::uuid[], $2::timestamptz[]) AS n (invitation_id, at)
WHERE i.invitation_id = n.invitation_id AND (i.asked_at < n.at OR i.asked_at IS NULL)

-- name: record_answers
-- One statement, one commit for many people: merge, count the revision, tell Kafka. The response row is
-- locked before the outbox id is drawn, so a later revision always has the higher id. A repeated, equal
-- answer makes no revision and tells nothing; one with an Idempotency-Key seen before changes nothing at all.
-- A follow-up answer that is null takes the earlier one back.
-- Reasons belong to low, middle or high scores: they go when the score moves between these.
-- After a restore revisions are above all that Kafka may have of the time that was lost (first_revision).
WITH beginning AS (
    SELECT coalesce(max(above), 0) AS above FROM first_revision
), given AS (
    SELECT * FROM unnest($1::bytea[], $2::smallint[], $3::text[], $4::bytea[], $5::boolean[], $6::timestamptz[],
                         $7::text[], $8::bytea[], $9::jsonb[], $10::boolean[], $11::text[], $12::boolean[], $13::bytea[])
        AS g (token_sha256, score, reasons, comment_sealed, contested, answered_at, language, comment_digest, follow_ups,
              wants_contact, channel, suspected, attempt)
), held AS (
    -- An erasure changes the link: words wait here until it is through, and are then about nothing. Scores need no lock.
    SELECT i.invitation_id FROM given AS g JOIN invitation AS i USING (token_sha256)
    WHERE g.comment_sealed IS NOT NULL OR g.wants_contact
    FOR KEY SHARE OF i
), known AS (
    SELECT i.invitation_id, i.survey, i.rated, i.invited, i.delivery, i.snapshot, i.traceparent,
           i.expires_at > clock_timestamp() AS open, g.*
    FROM given AS g JOIN invitation AS i USING (token_sha256)
    WHERE (g.comment_sealed IS NULL AND g.wants_contact IS NOT TRUE) OR i.invitation_id IN (SELECT invitation_id FROM held)
), kept AS (
    INSERT INTO response AS r (response_id, revision, score, reasons, comment_sealed, contested, language, answered_at,
                               changed_at, comment_digest, follow_ups, wants_contact, channel, suspected_machine, rated,
                               contested_revision, tried)
    SELECT invitation_id, above + 1, score, string_to_array(reasons, ','), comment_sealed, contested, language, answered_at,
           answered_at, comment_digest, follow_ups, wants_contact, channel, suspected, rated,
           CASE WHEN contested THEN above + 1 ELSE 0 END,
           CASE WHEN attempt IS NOT NULL THEN ARRAY[attempt || int4send(above + 1)] END
    FROM known CROSS JOIN beginning WHERE open
    ORDER BY invitation_id
    ON CONFLICT (response_id) DO UPDATE SET
        (revision, tried) = (
            SELECT n.revision, CASE WHEN excluded.tried IS NULL THEN r.tried
                ELSE (ARRAY[substr(excluded.tried[1], 1, 16) || int4send(n.revision)] || r.tried)[1:8] END
            FROM (SELECT CASE WHEN
                   (excluded.score IS NOT NULL AND excluded.score IS DISTINCT FROM r.score)
                   OR (excluded.reasons IS NOT NULL AND excluded.reasons IS DISTINCT FROM coalesce(r.reasons, '{}'))
                   OR (excluded.comment_digest IS NOT NULL AND excluded.comment_digest IS DISTINCT FROM r.comment_digest)
                   OR (excluded.contested IS NOT NULL AND excluded.contested <> coalesce(r.contested, false))
                   OR (excluded.follow_ups IS NOT NULL AND coalesce(r.follow_ups, '{}')
                       IS DISTINCT FROM jsonb_strip_nulls(coalesce(r.follow_ups, '{}') || excluded.follow_ups))
                   OR (excluded.wants_contact IS NOT NULL AND excluded.wants_contact <> coalesce(r.wants_contact, false))
                   OR (r.suspected_machine AND NOT excluded.suspected_machine)
                THEN greatest(r.revision, (SELECT above FROM beginning)) + 1 ELSE r.revision END AS revision) AS n
        ),
        score = coalesce(excluded.score, r.score),
        reasons = coalesce(excluded.reasons,
                           CASE WHEN sign(excluded.score - 3) IS DISTINCT FROM sign(r.score - 3)
                                 AND excluded.score IS NOT NULL AND r.score IS NOT NULL
                                THEN NULL ELSE r.reasons END),
        follow_ups = CASE WHEN excluded.follow_ups IS NULL THEN r.follow_ups
                          ELSE jsonb_strip_nulls(coalesce(r.follow_ups, '{}') || excluded.follow_ups) END,
        comment_sealed = CASE WHEN excluded.comment_digest IS NULL OR excluded.comment_digest = r.comment_digest
                              THEN r.comment_sealed ELSE excluded.comment_sealed END,
        masked_words = CASE WHEN excluded.comment_digest IS NULL OR excluded.comment_digest = r.comment_digest
                            THEN r.masked_words END,
        comment_digest = coalesce(excluded.comment_digest, r.comment_digest),
        contested = coalesce(excluded.contested, r.contested),
        contested_revision = CASE WHEN excluded.contested <> coalesce(r.contested, false)
                                  THEN greatest(r.contested_revision, (SELECT above FROM beginning)) + 1
                                  ELSE r.contested_revision END,
        wants_contact = coalesce(excluded.wants_contact, r.wants_contact),
        suspected_machine = excluded.suspected_machine
            AND (r.suspected_machine OR (excluded.score IS NOT NULL AND excluded.score IS DISTINCT FROM r.score)),
        channel = excluded.channel,
        language = coalesce(excluded.language, r.language),
        changed_at = greatest(r.changed_at, excluded.changed_at)
    WHERE excluded.tried IS NULL OR r.tried IS NULL OR NOT EXISTS (
        SELECT FROM unnest(r.tried) AS t (attempt) WHERE substr(t.attempt, 1, 8) = substr(excluded.tried[1], 1, 8))
    RETURNING new.response_id, new.revision, old.revision AS revision_before, new.score, new.reasons, new.follow_ups,
              -- An answer on its way while its person is erased: its words were sealed by a key that is gone.
              new.comment_sealed IS NOT NULL AND NOT new.erased AS commented, coalesce(new.contested, false) AS contested,
              new.contested_revision, coalesce(old.contested_revision, 0) AS contested_before,
              coalesce(new.wants_contact, false) AND NOT new.erased AS wants_contact, new.erased, new.rated,
              new.suspected_machine, new.channel, new.language, new.changed_at
), told AS (
    INSERT INTO outbox (shard, topic, key, value, traceparent)
    SELECT hashtext(k.response_id::text) & 3, 'response.recorded.v1', convert_to(k.response_id::text, 'UTF8'),
           convert_to(json_build_object(
               'response_id', k.response_id, 'revision', k.revision, 'invitation_id', k.response_id,
               'invited', i.invited, 'score', k.score, 'reasons', coalesce(k.reasons, '{}'),
               'follow_ups', jsonb_strip_nulls(coalesce(k.follow_ups, '{}')), 'commented', k.commented, 'contested', k.contested,
               'wants_contact', k.wants_contact, 'rated', k.rated, 'suspected_machine', k.suspected_machine,
               'erased', k.erased, 'channel', k.channel, 'language', k.language, 'survey', i.survey,
               'answered_at', k.changed_at, 'recorded_at', clock_timestamp(),
               'delivery', coalesce(i.snapshot, i.delivery),
               'corrected', CASE WHEN i.snapshot IS NOT NULL THEN i.delivery END
           )::text, 'UTF8'),
           i.traceparent
    FROM kept AS k JOIN known AS i ON i.invitation_id = k.response_id
    WHERE k.revision IS DISTINCT FROM k.revision_before
    UNION ALL
    SELECT hashtext(k.response_id::text) & 3, 'delivery.contested.v1', convert_to(i.delivery ->> 'delivery_id', 'UTF8'),
           convert_to(json_build_object(
               'delivery_id', i.delivery -> 'delivery_id', 'revision', k.contested_revision,
               'response_id', k.response_id, 'withdrawn', NOT k.contested,
               'proof_of_delivery', i.delivery -> 'proof_of_delivery', 'contested_at', k.changed_at,
               'delivery', i.delivery
           )::text, 'UTF8'),
           i.traceparent
    FROM kept AS k JOIN known AS i ON i.invitation_id = k.response_id
    WHERE k.contested_revision > k.contested_before
)
SELECT n.token_sha256, n.invitation_id, n.open, k.revision, k.revision_before IS NULL AS first,
       n.delivery ->> 'delivery_id' AS delivery_id, n.traceparent
FROM known AS n LEFT JOIN kept AS k ON k.response_id = n.invitation_id

-- name: attempts_of
-- What came of attempts with an Idempotency-Key before.
SELECT i.token_sha256, r.tried
FROM invitation AS i JOIN response AS r ON r.response_id = i.invitation_id
WHERE i.token_sha256 = ANY($1::bytea[])

-- name: lock_revision
-- The invitation first, as record_answers and an erasure lock them.
SELECT r.revision FROM invitation AS i JOIN response AS r ON r.response_id = i.invitation_id
WHERE i.token_sha256 = $1
FOR KEY SHARE OF i FOR UPDATE OF r

-- name: keep_contact_wishes
INSERT INTO contact_wish AS w (response_id, sealed, consent_version, language, given_at)
SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::timestamptz[])
ON CONFLICT (response_id) DO UPDATE SET
    sealed = excluded.sealed, consent_version = excluded.consent_version, language = excluded.language,
    given_at = excluded.given_at

-- name: forget_contact_wishes
DELETE FROM contact_wish WHERE response_id = ANY($1::uuid[])

-- name: lock_label
SELECT revision, rated FROM response WHERE response_id = $1 FOR UPDATE

-- name: relabel
WITH changed AS (
    UPDATE response SET rated = $2,
        revision = greatest(revision, (SELECT coalesce(max(above), 0) FROM first_revision)) + 1
    WHERE response_id = $1 AND rated <> $2
    RETURNING response_id, revision
), noted AS (
    INSERT INTO relabelling (response_id, revision, rated, member, reason, done_at, member_name)
    SELECT response_id, revision, $2, $3, $4, $5, $6 FROM changed
)
SELECT coalesce(c.revision, r.revision) AS revision, c.revision IS NOT NULL AS changed
FROM response AS r LEFT JOIN changed AS c USING (response_id)
WHERE r.response_id = $1

-- name: tell_responses
-- The event of record_answers for responses as they stand; a test holds the two together.
INSERT INTO outbox (shard, topic, key, value, traceparent)
SELECT hashtext(r.response_id::text) & 3, 'response.recorded.v1', convert_to(r.response_id::text, 'UTF8'),
       convert_to(json_build_object(
           'response_id', r.response_id, 'revision', r.revision, 'invitation_id', r.response_id,
           'invited', i.invited, 'score', r.score, 'reasons', coalesce(r.reasons, '{}'),
           'follow_ups', jsonb_strip_nulls(coalesce(r.follow_ups, '{}')),
           'commented', r.comment_sealed IS NOT NULL AND NOT r.erased, 'contested', coalesce(r.contested, false),
           'wants_contact', coalesce(r.wants_contact, false) AND NOT r.erased,
           'rated', r.rated, 'suspected_machine', r.suspected_machine, 'erased', r.erased,
           'channel', r.channel, 'language', r.language, 'survey', i.survey,
           'answered_at', r.changed_at, 'recorded_at', clock_timestamp(),
           'delivery', coalesce(i.snapshot, i.delivery),
           'corrected', CASE WHEN i.snapshot IS NOT NULL THEN i.delivery END
       )::text, 'UTF8'),
       i.traceparent
FROM response AS r JOIN invitation AS i ON i.invitation_id = r.response_id
WHERE r.response_id = ANY($1::uuid[])
ORDER BY r.response_id

-- name: prefer
-- What is not given stays as it was said before. A repeated, equal preference makes no revision.
-- Readers go by changed_at, and clocks of two processes may differ: what is kept later is always told as later.
WITH person AS (
    SELECT person_id, expires_at > clock_timestamp() AS open, traceparent FROM invitation WHERE token_sha256 = $1
), kept AS (
    INSERT INTO preference AS p (person_id, revision, never, most_per_year, only_channel, changed_at)
    SELECT person_id, 1, coalesce($3, false), $4, $6, $7 FROM person WHERE open AND person_id IS NOT NULL
    ON CONFLICT (person_id) DO UPDATE SET
        revision = p.revision + 1,
        never = CASE WHEN $2 THEN excluded.never ELSE p.never END,
        most_per_year = CASE WHEN $2 THEN excluded.most_per_year ELSE p.most_per_year END,
        only_channel = CASE WHEN $5 THEN excluded.only_channel ELSE p.only_channel END,
        changed_at = greatest(excluded.changed_at, p.changed_at + interval '1 microsecond')
    WHERE ($2 AND (p.never, p.most_per_year) IS DISTINCT FROM (excluded.never, excluded.most_per_year))
       OR ($5 AND p.only_channel IS DISTINCT FROM excluded.only_channel)
    RETURNING new.*
), told AS (
    INSERT INTO outbox (shard, topic, key, value, traceparent)
    SELECT hashtext(k.person_id) & 3, 'preference.changed.v1', convert_to(k.person_id, 'UTF8'),
           convert_to(json_build_object(
               'person_id', k.person_id, 'revision', k.revision, 'never', k.never, 'most_per_year', k.most_per_year,
               'only_channel', k.only_channel, 'source', $8::text, 'changed_at', k.changed_at
           )::text, 'UTF8'),
           person.traceparent
    FROM kept AS k JOIN person USING (person_id)
)
SELECT person.person_id IS NOT NULL AS named, person.open, coalesce(k.revision, p.revision) AS revision
FROM person LEFT JOIN kept AS k USING (person_id) LEFT JOIN preference AS p USING (person_id)

-- name: note_opened
-- Once for each invitation, and not where the answer tells it already.
WITH opened AS (
    UPDATE invitation SET opened_at = clock_timestamp()
    WHERE token_sha256 = $1 AND opened_at IS NULL AND invited AND expires_at > clock_timestamp()
      AND NOT EXISTS (SELECT FROM response WHERE response_id = invitation_id)
    RETURNING invitation_id, coalesce(snapshot, delivery) AS delivery, language, traceparent, opened_at
)
INSERT INTO outbox (shard, topic, key, value, traceparent)
SELECT hashtext(delivery ->> 'delivery_id') & 3, 'invitation.progress.v1', convert_to(delivery ->> 'delivery_id', 'UTF8'),
       convert_to(json_build_object(
           'invitation_id', invitation_id, 'step', 'opened', 'delivery', delivery, 'channel', 'web',
           'language', language, 'at', opened_at
       )::text, 'UTF8'),
       traceparent
FROM opened

-- name: pages_of
SELECT i.token_sha256, i.invitation_id, i.expires_at, i.language, i.brand, i.survey, i.delivery, clock_timestamp() AS now,
       i.expires_at > clock_timestamp() AS open, i.person_id IS NOT NULL AS named,
       r.revision, r.score, r.reasons, jsonb_strip_nulls(r.follow_ups) AS follow_ups, r.comment_sealed IS NOT NULL AS commented,
       coalesce(r.contested, false) AS contested, coalesce(r.wants_contact, false) AS wants_contact,
       coalesce(r.rated, i.rated) AS rated, r.answered_at,
       p.revision IS NOT NULL AS preferred, p.never, p.most_per_year, p.only_channel
FROM invitation AS i
LEFT JOIN response AS r ON r.response_id = i.invitation_id
LEFT JOIN preference AS p ON p.person_id = i.person_id
WHERE i.token_sha256 = ANY($1::bytea[])

-- name: acknowledged
-- For the audit: every answer we acknowledged, as it stands, by its id.
SELECT response_id, revision, score, coalesce(contested, false) AS contested FROM response
UNION ALL
SELECT response_id, revision, score, false FROM kiosk_response
ORDER BY response_id

-- name: acknowledged_among
-- For the audit: how many of these answers we acknowledged, in these revisions or later ones.
WITH asked AS (SELECT * FROM unnest($1::uuid[], $2::int[]) AS a (response_id, told))
SELECT (SELECT count(*) FROM response JOIN asked USING (response_id) WHERE revision >= told)
     + (SELECT count(*) FROM kiosk_response JOIN asked USING (response_id) WHERE revision >= told)
