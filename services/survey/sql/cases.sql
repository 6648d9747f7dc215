-- name: current_revisions
-- What the survey itself knows of these answers; a lower revision from the topic is history.
SELECT response_id::text AS response_id, revision FROM response WHERE response_id = ANY($1::uuid[])

-- name: lock_of_responses
SELECT * FROM feedback_case WHERE response_id = ANY($1::text[]) ORDER BY case_id FOR UPDATE

-- name: lock_cases
SELECT * FROM feedback_case WHERE serial = ANY($1::bigint[]) ORDER BY case_id FOR UPDATE

-- name: insert_case
INSERT INTO feedback_case (
    case_id, revision, response_revision, state, opened_because, score, reasons, commented, wants_contact, contested,
    language, opened_at, first_due_at, due_at, changed_at, response_id, desk, occurred_on, delivery, traceparent)
VALUES ($1, 1, $2, 'open', $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $10, $12, $13, $14, $15, $16)

-- name: update_case
-- Only from the revision that was read: whoever comes second changes nothing.
UPDATE feedback_case SET
    revision = $2 + 1, response_revision = $3, state = $4, opened_because = $5, score = $6, reasons = $7,
    commented = $8, wants_contact = $9, contested = $10, language = $11, owner = $12, owner_name = $13, cause = $14,
    attribution = $15, place = $16, controllable = $17, outcome_sealed = $18, outcome_told = $19, due_at = $20,
    contacted_at = $21, resolved_at = $22, changed_at = $23, nature = $24
WHERE case_id = $1 AND revision = $2

-- name: add_entry
INSERT INTO case_entry (case_id, revision, what, by_subject, by_name, happened_at, detail, note_sealed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: forget_words
UPDATE case_entry SET note_sealed = NULL WHERE case_id = $1

-- name: tell
INSERT INTO outbox (shard, topic, key, value, traceparent)
VALUES (hashtext($1) & 3, 'feedback.case.v1', convert_to($1, 'UTF8'), convert_to($2, 'UTF8'), $3)

-- name: one_case
SELECT * FROM feedback_case WHERE serial = $1 AND ($2::text[] IS NULL OR desk = ANY($2))

-- name: list_cases
-- The most urgent first: the clock that runs out next, then those where no clock runs. What is resolved grows for ever
-- and has no clock, so it is read backwards from the latest change, and no further than $9 cases.
SELECT * FROM (
    (SELECT * FROM feedback_case
     WHERE state <> 'resolved' AND state = ANY($1::text[]) AND $1 <> '{resolved}'
       AND ($2::text[] IS NULL OR desk = ANY($2))
       AND ($3::text IS NULL OR desk = $3)
       AND ($4::text IS NULL OR $4 = ANY(opened_because))
       AND ($5::text IS NULL OR owner = $5)
       AND ($6::date IS NULL OR occurred_on = $6)
       AND ($7::text IS NULL OR $7 = ANY(reasons))
     ORDER BY due_at NULLS LAST, changed_at DESC, serial
     LIMIT $8)
    UNION ALL
    (SELECT * FROM (
         SELECT * FROM feedback_case
         WHERE state = 'resolved' AND 'resolved' = ANY($1)
           AND ($2 IS NULL OR desk = ANY($2))
           AND ($3 IS NULL OR desk = $3)
           AND ($6 IS NULL OR occurred_on = $6)
         ORDER BY changed_at DESC, serial
         LIMIT $9
     ) AS latest
     WHERE ($4 IS NULL OR $4 = ANY(opened_because))
       AND ($5 IS NULL OR owner = $5)
       AND ($7 IS NULL OR $7 = ANY(reasons))
     ORDER BY changed_at DESC, serial
     LIMIT $8)
) AS found
ORDER BY due_at NULLS LAST, changed_at DESC, serial
LIMIT $8

-- name: tabs
SELECT count(*) FILTER (WHERE state IN ('open', 'reopened')) AS open,
       count(*) FILTER (WHERE owner = $2) AS mine,
       count(*) FILTER (WHERE state IN ('contacted', 'waiting')) AS contacted,
       (SELECT count(*) FROM praise
        WHERE state IN ('waiting', 'disputed') AND ($1::text[] IS NULL OR terminal = ANY($1))) AS praise
FROM feedback_case
WHERE state <> 'resolved' AND ($1::text[] IS NULL OR desk = ANY($1))

-- name: desks
-- One step of the index for each desk, however many cases there were.
WITH RECURSIVE known AS (
    (SELECT desk FROM feedback_case ORDER BY desk LIMIT 1)
    UNION ALL
    SELECT (SELECT c.desk FROM feedback_case AS c WHERE c.desk > known.desk ORDER BY c.desk LIMIT 1)
    FROM known WHERE known.desk IS NOT NULL
)
SELECT desk FROM known WHERE desk IS NOT NULL AND ($1::text[] IS NULL OR desk = ANY($1)) ORDER BY desk

-- name: owners
SELECT DISTINCT owner, owner_name FROM feedback_case
WHERE state <> 'resolved' AND owner IS NOT NULL AND ($1::text[] IS NULL OR desk = ANY($1)) ORDER BY owner_name

-- name: entries
SELECT what, by_name, happened_at, detail, note_sealed FROM case_entry WHERE case_id = $1
UNION ALL
SELECT 'contact_viewed', member, viewed_at, NULL, NULL FROM contact_view WHERE response_id = $2
UNION ALL
SELECT 'relabelled', coalesce(member_name, member), done_at, rated || ', ' || reason, NULL FROM relabelling
WHERE response_id = $2
ORDER BY happened_at

-- name: relabelled
SELECT EXISTS (SELECT FROM relabelling WHERE response_id = $1 AND revision = $2)

-- name: rated_of
SELECT rated, revision FROM response WHERE response_id = $1

-- name: same_day
SELECT count(*) AS cases, count(*) FILTER (WHERE state IN ('open', 'reopened')) AS open
FROM feedback_case WHERE desk = $1 AND occurred_on = $2 AND ($3 = ANY(reasons) OR $3 = ANY(opened_because))

-- name: notice
SELECT serial, desk, due_at, wants_contact FROM feedback_case
WHERE response_id = $1 AND state <> 'resolved' AND due_at > $2

-- name: changed_lately
SELECT serial, revision, desk FROM feedback_case WHERE changed_at > $1

-- name: standing
SELECT state, count(*) AS cases, count(*) FILTER (WHERE due_at < $1) AS overdue,
       count(*) FILTER (WHERE age < interval '1 day') AS day,
       count(*) FILTER (WHERE age >= interval '1 day' AND age < interval '7 days') AS week,
       count(*) FILTER (WHERE age >= interval '7 days' AND age < interval '30 days') AS month,
       count(*) FILTER (WHERE age >= interval '30 days') AS older
FROM feedback_case, LATERAL (SELECT $1::timestamptz - opened_at AS age) AS a
WHERE state <> 'resolved' GROUP BY state

-- name: contact_wish
SELECT w.sealed, encode(i.token_sha256, 'hex') AS row, decode(i.person_id, 'hex') AS person
FROM contact_wish AS w JOIN invitation AS i ON i.invitation_id = w.response_id
WHERE w.response_id = $1
