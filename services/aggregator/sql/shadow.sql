-- name: copy_cuts
INSERT INTO aggregator_shadow.counted_cut SELECT * FROM aggregator.counted_cut

-- name: copy_counting
INSERT INTO aggregator_shadow.counting (version, minutes_from) SELECT version, minutes_from FROM aggregator.counting

-- name: copy_progress
INSERT INTO aggregator_shadow.progress (topic, part, cluster_id, topic_id, next)
SELECT topic, part, cluster_id, topic_id, $3 FROM aggregator.progress WHERE topic = $1 AND part = $2

-- name: make_live
-- The live counters of one moment, by names, since units have other numbers in the shadow.
CREATE TEMP TABLE live_cell AS
SELECT u.cut, u.value, c.cell & 4294967295 AS place,
       ARRAY[s1, s2, s3, s4, s5, delivered, asked, suppressed, pending, failed, commented, contested, reached,
             opened] AS counters
FROM aggregator.cell AS c JOIN aggregator.unit AS u ON u.id = (c.cell >> 32)::int
JOIN aggregator.counted_cut AS k ON k.cut = u.cut AND k.state IN ('counted', 'leaving')

-- name: drop_old_minutes
DELETE FROM aggregator_shadow.cell AS c USING aggregator_shadow.unit AS u, aggregator.counting AS k
WHERE u.id = (c.cell >> 32)::int AND (c.cell & 4294967295) - 3758096384 BETWEEN 0 AND k.minutes_from - 1

-- name: compare
-- A cell that is not there is one in which nothing is counted.
WITH shadow AS (
    SELECT u.cut, u.value, c.cell & 4294967295 AS place,
           ARRAY[s1, s2, s3, s4, s5, delivered, asked, suppressed, pending, failed, commented, contested, reached,
             opened] AS counters
    FROM aggregator_shadow.cell AS c JOIN aggregator_shadow.unit AS u ON u.id = (c.cell >> 32)::int
    JOIN aggregator.counted_cut AS k ON k.cut = u.cut AND k.state IN ('counted', 'leaving')
)
SELECT cut, value, place, l.counters AS live, s.counters AS shadow
FROM live_cell AS l FULL JOIN shadow AS s USING (cut, value, place)
WHERE coalesce(l.counters, array_fill(0, ARRAY[14])) <> coalesce(s.counters, array_fill(0, ARRAY[14]))
ORDER BY cut, value, place

-- name: live_cells
SELECT count(*) FROM live_cell

-- name: put_aside
SELECT count(*) FROM aggregator_shadow.outbox WHERE raw_headers IS NOT NULL
