-- name: comments_due
SELECT count(*) FROM response
WHERE comment_sealed IS NOT NULL
  AND (erased OR changed_at < clock_timestamp() - make_interval(secs => $1))

-- name: comments
-- An answer that was just on its way when its person was erased lost its comment's key: it goes too.
UPDATE response SET comment_sealed = NULL, comment_digest = NULL, masked_words = NULL WHERE response_id IN (
    SELECT response_id FROM response
    WHERE comment_sealed IS NOT NULL
      AND (erased OR changed_at < clock_timestamp() - make_interval(secs => $1))
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)

-- name: contact_wishes_due
SELECT count(*) FROM contact_wish AS w
WHERE w.given_at < clock_timestamp() - make_interval(secs => $1)
  AND NOT EXISTS (SELECT FROM feedback_case AS c WHERE c.response_id = w.response_id::text
                  AND (c.state <> 'resolved' OR c.resolved_at >= clock_timestamp() - make_interval(secs => $1)))

-- name: contact_wishes_next
-- Kept while somebody works on the case, and so long after it is resolved. No comment comes while its wish goes.
SELECT w.response_id FROM contact_wish AS w JOIN response AS r USING (response_id)
WHERE w.given_at < clock_timestamp() - make_interval(secs => $1)
  AND NOT EXISTS (SELECT FROM feedback_case AS c WHERE c.response_id = w.response_id::text
                  AND (c.state <> 'resolved' OR c.resolved_at >= clock_timestamp() - make_interval(secs => $1)))
LIMIT $2
FOR UPDATE OF r, w SKIP LOCKED

-- name: contact_wishes
DELETE FROM contact_wish WHERE response_id = ANY($1::uuid[])

-- name: case_words_due
SELECT count(*) FROM case_entry AS e JOIN feedback_case AS c USING (case_id)
WHERE e.note_sealed IS NOT NULL AND c.state = 'resolved'
  AND c.resolved_at < clock_timestamp() - make_interval(secs => $1)

-- name: case_words
UPDATE case_entry SET note_sealed = NULL WHERE entry_id IN (
    SELECT e.entry_id FROM case_entry AS e JOIN feedback_case AS c USING (case_id)
    WHERE e.note_sealed IS NOT NULL AND c.state = 'resolved'
      AND c.resolved_at < clock_timestamp() - make_interval(secs => $1)
    LIMIT $2
)

-- name: outcomes_due
SELECT count(*) FROM feedback_case
WHERE outcome_sealed IS NOT NULL AND state = 'resolved'
  AND resolved_at < clock_timestamp() - make_interval(secs => $1)

-- name: outcomes
UPDATE feedback_case SET outcome_sealed = NULL WHERE case_id IN (
    SELECT case_id FROM feedback_case
    WHERE outcome_sealed IS NOT NULL AND state = 'resolved'
      AND resolved_at < clock_timestamp() - make_interval(secs => $1)
    LIMIT $2
)

-- name: outcome_messages_due
SELECT count(*) FROM outcome_message
WHERE (kept_sealed IS NOT NULL OR words_sealed IS NOT NULL) AND state <> 'calling'
  AND written_at < clock_timestamp() - make_interval(secs => $1)

-- name: outcome_messages
-- What the local outbox holds, and words that never left.
UPDATE outcome_message SET
    kept_sealed = NULL, words_sealed = NULL,
    reason = CASE WHEN state = 'planned' THEN 'expired' ELSE reason END,
    state = CASE WHEN state = 'planned' THEN 'withheld' ELSE state END
WHERE message_id IN (
    SELECT message_id FROM outcome_message
    WHERE (kept_sealed IS NOT NULL OR words_sealed IS NOT NULL) AND state <> 'calling'
      AND written_at < clock_timestamp() - make_interval(secs => $1)
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)

-- name: dead_links_due
-- As many as `dead_links` would let go, however many runs it takes.
SELECT count(*) FROM invitation AS i
WHERE i.invitation_id > coalesce((SELECT up_to FROM dead_link_position), '00000000-0000-0000-0000-000000000000')
  AND i.invitation_id < coalesce((
      SELECT k.invitation_id FROM invitation AS k
      WHERE k.invitation_id > coalesce((SELECT up_to FROM dead_link_position), '00000000-0000-0000-0000-000000000000')
        AND k.expires_at >= clock_timestamp() - make_interval(secs => $1)
      ORDER BY k.invitation_id LIMIT 1), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  AND NOT EXISTS (SELECT FROM response AS r WHERE r.response_id = i.invitation_id)

-- name: dead_links_lock
-- No erasure breaks these links at the same moment: each would wait for the other's rows.
SELECT pg_advisory_xact_lock_shared(hashtextextended('invitations of ' || current_schema(), 0))

-- name: dead_links
-- Looks at the next $2 links in the order of their ids, which is that of their decisions, up to the first that was not
-- locked for so long. What has an answer stays: it shows its words of thanks, and later revisions tell its facts.
WITH next AS MATERIALIZED (
    SELECT i.invitation_id, i.expires_at < clock_timestamp() - make_interval(secs => $1) AS old
    FROM invitation AS i
    WHERE i.invitation_id > coalesce((SELECT up_to FROM dead_link_position), '00000000-0000-0000-0000-000000000000')
    ORDER BY i.invitation_id LIMIT $2
), looked AS MATERIALIZED (
    SELECT invitation_id
    FROM (SELECT invitation_id, bool_and(old) OVER (ORDER BY invitation_id) AS all_old FROM next) AS in_order
    WHERE all_old
), gone AS (
    DELETE FROM invitation AS i USING looked AS l
    WHERE i.invitation_id = l.invitation_id
      AND NOT EXISTS (SELECT FROM response AS r WHERE r.response_id = l.invitation_id)
    RETURNING i.invitation_id
), moved AS (
    INSERT INTO dead_link_position (up_to) SELECT invitation_id FROM looked ORDER BY invitation_id DESC LIMIT 1
    ON CONFLICT (single) DO UPDATE SET up_to = excluded.up_to
)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM gone) AS gone
