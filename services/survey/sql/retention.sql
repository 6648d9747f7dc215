-- name: comments_due
SELECT count(*) FROM response
WHERE comment_sealed IS NOT NULL
  AND (erased OR changed_at < clock_timestamp() - make_interval(secs => $1))

-- name: comments
-- An answer that was just on its way when its person was erased lost its comment's key: it goes too.
UPDATE response SET comment_sealed = NULL, comment_digest = NULL WHERE response_id IN (
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

-- name: contact_wishes
-- Kept while somebody works on the case, and so long after it is resolved.
DELETE FROM contact_wish WHERE response_id IN (
    SELECT response_id FROM contact_wish AS w
    WHERE w.given_at < clock_timestamp() - make_interval(secs => $1)
      AND NOT EXISTS (SELECT FROM feedback_case AS c WHERE c.response_id = w.response_id::text
                      AND (c.state <> 'resolved' OR c.resolved_at >= clock_timestamp() - make_interval(secs => $1)))
    LIMIT $2
)

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
