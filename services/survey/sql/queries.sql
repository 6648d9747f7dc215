-- name: keep_invitations
INSERT INTO invitation (token_sha256, invitation_id, expires_at, channel, language, survey, brand, delivery, traceparent)
SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::json[],
                     $9::text[])
ON CONFLICT DO NOTHING

-- name: record_answers
-- One statement, one commit for many people: merge, count the revision, tell Kafka. The response row is
-- locked before the outbox id is drawn, so a later revision always has the higher id. A repeated, equal
-- answer makes no revision and tells nothing. Reasons belong to low, middle or high scores: they go when
-- the score moves between these.
WITH given AS (
    SELECT * FROM unnest($1::bytea[], $2::smallint[], $3::text[], $4::bytea[], $5::boolean[], $6::timestamptz[],
                         $7::text[], $8::text[])
        AS g (token_sha256, score, reasons, comment_sealed, contested, answered_at, language, channel)
), known AS (
    SELECT i.invitation_id, i.survey, i.delivery, i.traceparent, i.expires_at > clock_timestamp() AS open, g.*
    FROM given AS g JOIN invitation AS i USING (token_sha256)
), kept AS (
    INSERT INTO response AS r (response_id, revision, score, reasons, comment_sealed, contested, language,
                               answered_at, changed_at)
    SELECT invitation_id, 1, score, string_to_array(reasons, ','), comment_sealed, coalesce(contested, false), language,
           answered_at, answered_at
    FROM known WHERE open
    ORDER BY invitation_id
    ON CONFLICT (response_id) DO UPDATE SET
        revision = r.revision
            + ((excluded.score IS NOT NULL AND excluded.score IS DISTINCT FROM r.score)
               OR (excluded.reasons IS NOT NULL AND excluded.reasons IS DISTINCT FROM coalesce(r.reasons, '{}'))
               OR excluded.comment_sealed IS NOT NULL
               OR (excluded.contested AND NOT r.contested))::int,
        score = coalesce(excluded.score, r.score),
        reasons = coalesce(excluded.reasons,
                           CASE WHEN sign(excluded.score - 3) IS DISTINCT FROM sign(r.score - 3)
                                 AND excluded.score IS NOT NULL AND r.score IS NOT NULL
                                THEN NULL ELSE r.reasons END),
        comment_sealed = coalesce(excluded.comment_sealed, r.comment_sealed),
        contested = r.contested OR excluded.contested,
        language = coalesce(excluded.language, r.language),
        changed_at = greatest(r.changed_at, excluded.changed_at)
    RETURNING new.response_id, new.revision, old.revision AS revision_before, new.score, new.reasons,
              new.comment_sealed IS NOT NULL AS commented, new.contested, new.language, new.changed_at
), told AS (
    INSERT INTO outbox (shard, topic, key, value, traceparent)
    SELECT hashtext(k.response_id::text) & 3, 'response.recorded.v1', convert_to(k.response_id::text, 'UTF8'),
           convert_to(json_build_object(
               'response_id', k.response_id, 'revision', k.revision, 'invitation_id', k.response_id,
               'score', k.score, 'reasons', coalesce(k.reasons, '{}'), 'commented', k.commented,
               'contested', k.contested, 'channel', i.channel, 'language', k.language, 'survey', i.survey,
               'answered_at', k.changed_at, 'recorded_at', clock_timestamp(), 'delivery', i.delivery
           )::text, 'UTF8'),
           i.traceparent
    FROM kept AS k JOIN known AS i ON i.invitation_id = k.response_id
    WHERE k.revision IS DISTINCT FROM k.revision_before
)
SELECT n.token_sha256, n.open, k.revision
FROM known AS n LEFT JOIN kept AS k ON k.response_id = n.invitation_id

-- name: page_of
SELECT i.invitation_id, i.expires_at, i.language, i.brand, i.delivery, clock_timestamp() AS now,
       i.expires_at > clock_timestamp() AS open,
       r.revision, r.score, r.reasons, r.comment_sealed IS NOT NULL AS commented, r.contested, r.answered_at
FROM invitation AS i LEFT JOIN response AS r ON r.response_id = i.invitation_id
WHERE i.token_sha256 = $1

-- name: acknowledged
-- For the audit: every answer we acknowledged, as it stands.
SELECT response_id, revision, score, contested FROM response
