-- name: revision_of_month
-- The revision $2, or the latest.
SELECT month, revision, reason, closed_at, zone_data FROM aggregator.closed_month
WHERE month = $1 AND ($2::int IS NULL OR revision = $2)
ORDER BY revision DESC LIMIT 1

-- name: positions_of_month
SELECT topic, part, cluster_id, topic_id, next FROM aggregator.closed_position WHERE month = $1 AND revision = $2

-- name: copy_cuts_of_month
-- The cuts of then, in months alone: nothing else is compared.
INSERT INTO aggregator_shadow.counted_cut (cut, windows, state)
SELECT cut, CASE WHEN windows & 4 <> 0 THEN 4 ELSE windows END, 'counted'
FROM aggregator.closed_cut WHERE month = $1 AND revision = $2

-- name: copy_positions_of_month
INSERT INTO aggregator_shadow.progress (topic, part, cluster_id, topic_id, next)
SELECT topic, part, cluster_id, topic_id, $5
FROM aggregator.closed_position WHERE month = $1 AND revision = $2 AND topic = $3 AND part = $4

-- name: learn_sizes
-- What was just filled is taken for small.
ANALYZE aggregator_shadow.unit, aggregator_shadow.cell, aggregator_shadow.answer, aggregator_shadow.question

-- name: rows_of_month
SELECT (SELECT count(*) FROM aggregator.closed_cell WHERE month = $1 AND revision = $2) AS cells,
       (SELECT count(*) FROM aggregator.closed_question WHERE month = $1 AND revision = $2) AS questions,
       (SELECT count(*) FROM aggregator.closed_complaint WHERE month = $1 AND revision = $2) AS complaints

-- name: compare_cells_of_month
-- A cell that is not there is one in which nothing is counted.
WITH closed AS (
    SELECT cut, value, ARRAY[s1, s2, s3, s4, s5, delivered, asked, suppressed, pending, failed, commented, contested,
                             reached, opened] AS counters
    FROM aggregator.closed_cell WHERE month = $1 AND revision = $2
), counted AS (
    SELECT cut, value, ARRAY[s1, s2, s3, s4, s5, delivered, asked, suppressed, pending, failed, commented, contested,
                             reached, opened] AS counters
    FROM aggregator_shadow.closed_cell
)
SELECT cut, value, k.counters AS closed, c.counters AS counted
FROM closed AS k FULL JOIN counted AS c USING (cut, value)
WHERE coalesce(k.counters, array_fill(0::bigint, ARRAY[14])) <> coalesce(c.counters, array_fill(0::bigint, ARRAY[14]))
ORDER BY 1, 2

-- name: compare_questions_of_month
SELECT cut, value, question, given, k.answers AS closed, c.answers AS counted
FROM (SELECT * FROM aggregator.closed_question WHERE month = $1 AND revision = $2) AS k
FULL JOIN aggregator_shadow.closed_question AS c USING (cut, value, question, given)
WHERE k.answers IS DISTINCT FROM c.answers
ORDER BY 1, 2, 3, 4

-- name: compare_complaints_of_month
SELECT cause, attribution, k.complaints AS closed, c.complaints AS counted
FROM (SELECT * FROM aggregator.closed_complaint WHERE month = $1 AND revision = $2) AS k
FULL JOIN aggregator_shadow.closed_complaint AS c USING (cause, attribution)
WHERE k.complaints IS DISTINCT FROM c.complaints
ORDER BY 1, 2
