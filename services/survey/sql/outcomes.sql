-- name: plan_outcome
INSERT INTO outcome_message (message_id, case_id, state, words_sealed, by_subject, by_name, written_at, due_at)
VALUES (gen_random_uuid(), $1, 'planned', $2, $3, $4, $5, $5)

-- name: begin_outcome
-- Committed on its own before the first byte leaves: what is found like this after a crash is in doubt.
UPDATE outcome_message AS m SET state = 'calling', fence = m.fence + 1, lease_until = $1 + $2::interval
FROM feedback_case AS c
WHERE c.case_id = m.case_id
  AND m.message_id = (SELECT message_id FROM outcome_message
                      WHERE state = 'planned' AND due_at <= $1 AND (SELECT is_on FROM sending)
                      ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING m.message_id, m.case_id, m.fence, m.words_sealed, m.by_subject, m.by_name, m.written_at,
          c.serial, c.response_id, c.language, c.delivery ->> 'country' AS country

-- name: expired_outcomes
SELECT m.message_id, m.case_id, m.fence, m.by_subject, m.by_name, m.written_at, c.serial
FROM outcome_message AS m JOIN feedback_case AS c USING (case_id)
WHERE m.state = 'calling' AND m.lease_until < $1

-- name: settle_outcome
-- Only by who called last. A doubt may still become certain, as when the local outbox holds the message; nothing else
-- changes twice.
UPDATE outcome_message SET
    state = $3, reason = $4, due_at = $5, settled_at = CASE WHEN $3 <> 'planned' THEN $6::timestamptz END,
    words_sealed = CASE WHEN $3 = 'planned' THEN words_sealed END
WHERE message_id = $1 AND fence = $2
  AND (state = 'calling' OR (state = 'in_doubt' AND ($3 IN ('accepted', 'refused') OR kept_sealed IS NOT NULL)))
RETURNING message_id

-- name: keep_in_local_outbox
-- What is on its way has its words, unless its person was erased meanwhile: then nothing is kept again.
UPDATE outcome_message SET kept_sealed = $2 WHERE message_id = $1 AND state = 'calling' AND words_sealed IS NOT NULL

-- name: latest_outcome
SELECT message_id, state, reason, kept_sealed, settled_at FROM outcome_message
WHERE case_id = $1 ORDER BY written_at DESC LIMIT 1

-- name: forget_outcomes
-- The person was erased: what has not left stays here and goes.
UPDATE outcome_message SET
    words_sealed = NULL, kept_sealed = NULL,
    state = CASE WHEN state = 'planned' THEN 'withheld' ELSE state END,
    reason = CASE WHEN state = 'planned' THEN 'erased' ELSE reason END
WHERE case_id = $1

-- name: turn_sending
UPDATE sending SET is_on = $1
