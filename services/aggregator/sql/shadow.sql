-- name: keep_no_log
-- A shadow is thrown away, and counted anew after a crash; places and dead letters keep to the ways of the live tables.
ALTER TABLE aggregator_shadow.cell SET UNLOGGED;
ALTER TABLE aggregator_shadow.answer SET UNLOGGED;
ALTER TABLE aggregator_shadow.decision SET UNLOGGED;
ALTER TABLE aggregator_shadow.question SET UNLOGGED

-- name: copy_cuts
INSERT INTO aggregator_shadow.counted_cut SELECT * FROM aggregator.counted_cut

-- name: copy_counting
INSERT INTO aggregator_shadow.counting (version, minutes_from) SELECT version, minutes_from FROM aggregator.counting

-- name: copy_progress
INSERT INTO aggregator_shadow.progress (topic, part, cluster_id, topic_id, next)
SELECT topic, part, cluster_id, topic_id, $3 FROM aggregator.progress WHERE topic = $1 AND part = $2

-- name: own_transaction
SELECT pg_current_xact_id()::text::bigint

-- name: fates
-- What became of transactions that have ended.
SELECT own, pg_xact_status(own::text::xid8) = 'committed' AS committed FROM unnest($1::bigint[]) AS o (own)
WHERE pg_xact_status(own::text::xid8) <> 'in progress'

-- name: make_live
-- The live counters of one moment.
CREATE TEMP TABLE live_cell AS
SELECT c.* FROM aggregator.cell AS c JOIN aggregator.unit AS u ON u.id = (c.cell >> 32)::int
JOIN aggregator.counted_cut AS k ON k.cut = u.cut AND k.state IN ('counted', 'leaving')

-- name: make_live_said
-- Of the same moment: how often each value was given to each further question, and by whom, summed up.
CREATE TEMP TABLE live_said AS
SELECT q.local_hour, v.key AS question, v.value::int AS value, count(*) AS answers,
       sum(hashtextextended(q.response_id::text, 0)::numeric) AS whose
FROM aggregator.question AS q CROSS JOIN LATERAL jsonb_each_text(q.said) AS v GROUP BY 1, 2, 3

-- name: copy_minutes
-- Of the same moment too: while the shadow is written the live ones lose more minutes.
UPDATE aggregator_shadow.counting AS s SET minutes_from = k.minutes_from FROM aggregator.counting AS k

-- name: drop_old_minutes
DELETE FROM aggregator_shadow.cell AS c USING aggregator_shadow.unit AS u, aggregator_shadow.counting AS k
WHERE u.id = (c.cell >> 32)::int AND (c.cell & 4294967295) - 3758096384 BETWEEN 0 AND k.minutes_from - 1

-- name: compare_in_memory
SET work_mem = '256MB'

-- name: compare
-- Units have other numbers in the shadow: one that is not there live gets a negative one, which is in no live cell.
-- A cell that is not there is one in which nothing is counted.
WITH same AS (
    SELECT s.id AS shadow, coalesce(l.id, -s.id)::bigint AS live
    FROM aggregator_shadow.unit AS s JOIN aggregator.counted_cut AS k ON k.cut = s.cut AND k.state IN ('counted', 'leaving')
    LEFT JOIN aggregator.unit AS l ON l.cut = s.cut AND l.value = s.value
), shadow AS (
    SELECT (u.live << 32) | (c.cell & 4294967295) AS cell,
           s1, s2, s3, s4, s5, delivered, asked, suppressed, pending, failed, commented, contested, reached, opened
    FROM aggregator_shadow.cell AS c JOIN same AS u ON u.shadow = (c.cell >> 32)::int
), differing AS (
    SELECT coalesce(l.cell, s.cell) AS cell,
           CASE WHEN l.s1 IS NOT NULL THEN ARRAY[l.s1, l.s2, l.s3, l.s4, l.s5, l.delivered, l.asked, l.suppressed,
               l.pending, l.failed, l.commented, l.contested, l.reached, l.opened] END AS live,
           CASE WHEN s.s1 IS NOT NULL THEN ARRAY[s.s1, s.s2, s.s3, s.s4, s.s5, s.delivered, s.asked, s.suppressed,
               s.pending, s.failed, s.commented, s.contested, s.reached, s.opened] END AS shadow
    FROM live_cell AS l FULL JOIN shadow AS s ON l.cell >> 32 = s.cell >> 32 AND l.cell = s.cell
    WHERE (l.s1, l.s2, l.s3, l.s4, l.s5, l.delivered, l.asked, l.suppressed, l.pending, l.failed, l.commented,
           l.contested, l.reached, l.opened)
       IS DISTINCT FROM
          (s.s1, s.s2, s.s3, s.s4, s.s5, s.delivered, s.asked, s.suppressed, s.pending, s.failed, s.commented,
           s.contested, s.reached, s.opened)
)
SELECT coalesce(l.cut, s.cut) AS cut, coalesce(l.value, s.value) AS value, cell & 4294967295 AS place, live, shadow
FROM differing LEFT JOIN aggregator.unit AS l ON l.id = (cell >> 32)::int
LEFT JOIN aggregator_shadow.unit AS s ON s.id = -(cell >> 32)::int
WHERE coalesce(live, array_fill(0::bigint, ARRAY[14])) <> coalesce(shadow, array_fill(0::bigint, ARRAY[14]))
ORDER BY 1, 2, 3

-- name: compare_said
WITH shadow_said AS (
    SELECT q.local_hour, v.key AS question, v.value::int AS value, count(*) AS answers,
           sum(hashtextextended(q.response_id::text, 0)::numeric) AS whose
    FROM aggregator_shadow.question AS q CROSS JOIN LATERAL jsonb_each_text(q.said) AS v GROUP BY 1, 2, 3
)
SELECT local_hour, question, value, coalesce(l.answers, 0) AS live, coalesce(s.answers, 0) AS shadow
FROM live_said AS l FULL JOIN shadow_said AS s USING (local_hour, question, value)
WHERE (l.answers, l.whose) IS DISTINCT FROM (s.answers, s.whose)
ORDER BY 1, 2, 3

-- name: live_answers_said
SELECT coalesce(sum(answers), 0)::bigint FROM live_said

-- name: live_cells
SELECT count(*) FROM live_cell

-- name: put_aside
SELECT count(*) FROM aggregator_shadow.outbox WHERE raw_headers IS NOT NULL
