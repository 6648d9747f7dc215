-- name: keep_questions
INSERT INTO question (response_id, local_hour, said)
SELECT a.response_id, a.local_hour, q.said::jsonb
FROM unnest($1::uuid[], $2::text[]) AS q (response_id, said) JOIN answer AS a USING (response_id)
ON CONFLICT (response_id) DO UPDATE SET local_hour = excluded.local_hour, said = excluded.said

-- name: forget_questions
DELETE FROM question WHERE response_id = ANY($1::uuid[])

-- name: said_in_cells
-- How often each value was given to each question in the cells $1. They are of one window, whose indexes begin at $2,
-- and of deliveries in the hours $3 to $4. The index is of people who answered all three of its questions: the sum of
-- the three.
WITH wanted AS (
    SELECT cell, (cell >> 32)::int AS unit, (cell & 4294967295) - $2::bigint AS index FROM unnest($1::bigint[]) AS w (cell)
), said AS (
    SELECT w.cell, q.said
    FROM question AS q JOIN answer AS a USING (response_id) CROSS JOIN LATERAL unnest(a.units) AS u (unit)
    JOIN wanted AS w ON w.unit = u.unit AND w.index = CASE $2::bigint
        WHEN 0 THEN a.local_hour
        WHEN 1073741824 THEN a.local_hour / 24
        WHEN 2147483648 THEN (extract(year FROM date '1970-01-01' + a.local_hour / 24) - 1970) * 12
                             + extract(month FROM date '1970-01-01' + a.local_hour / 24) - 1
        WHEN 3221225472 THEN 0
        WHEN 3489660928 THEN (a.local_hour / 24 + 3) / 7
        ELSE a.local_hour * 60 + a.minute END
    WHERE q.local_hour BETWEEN $3::bigint AND $4::bigint AND NOT a.contested AND a.series IS NULL
)
SELECT cell, v.key AS question, v.value::int AS value, count(*) AS answers
FROM said CROSS JOIN LATERAL jsonb_each_text(said) AS v
GROUP BY 1, 2, 3
UNION ALL
SELECT cell, 'index', (said ->> 'satisfaction')::int + (said ->> 'expectancy')::int + (said ->> 'ideal')::int, count(*)
FROM said WHERE said ?& ARRAY['satisfaction', 'expectancy', 'ideal']
GROUP BY 1, 3

-- name: said_in_unit
-- The same of a unit in the hours $3 to $4, together.
WITH said AS (
    SELECT q.said FROM question AS q JOIN answer AS a USING (response_id)
    WHERE q.local_hour BETWEEN $3 AND $4 AND NOT a.contested AND a.series IS NULL
      AND a.units @> ARRAY[(SELECT id FROM unit WHERE cut = $1 AND value = $2)]
)
SELECT v.key AS question, v.value::int AS value, count(*) AS answers
FROM said CROSS JOIN LATERAL jsonb_each_text(said) AS v
GROUP BY 1, 2
UNION ALL
SELECT 'index', (said ->> 'satisfaction')::int + (said ->> 'expectancy')::int + (said ->> 'ideal')::int, count(*)
FROM said WHERE said ?& ARRAY['satisfaction', 'expectancy', 'ideal']
GROUP BY 2

-- name: close_questions
INSERT INTO closed_question
SELECT $1::int, $2::int, cut, value, question, given, count(*) FROM said AS s
WHERE local_hour BETWEEN $3 AND $4
  AND NOT EXISTS (SELECT FROM counted_cut AS b WHERE b.cut = s.cut AND b.state IN ('building', 'built'))
GROUP BY cut, value, question, given

-- name: questions_that_moved_since_closing
-- Only in cuts that were counted when the month was closed, as of cells, and are counted now: a cut that is gone has no
-- units.
WITH both_times AS (
    SELECT cut FROM (
        SELECT cut FROM closed_cut WHERE month = $1 AND revision = $2
        UNION
        SELECT cut FROM closed_cell WHERE month = $1 AND revision = $2
        AND NOT EXISTS (SELECT FROM closed_cut WHERE month = $1 AND revision = $2)
    ) AS c
    WHERE EXISTS (SELECT FROM unit AS u WHERE u.cut = c.cut)
      AND NOT EXISTS (SELECT FROM counted_cut AS b WHERE b.cut = c.cut AND b.state IN ('building', 'built'))
)
SELECT count(*) FROM (
    SELECT cut, value, question, given, count(*) AS answers FROM said
    WHERE local_hour BETWEEN $3 AND $4 AND cut IN (SELECT cut FROM both_times)
    GROUP BY cut, value, question, given
) AS s FULL JOIN (
    SELECT * FROM closed_question WHERE month = $1 AND revision = $2 AND cut IN (SELECT cut FROM both_times)
) AS k USING (cut, value, question, given)
WHERE s.answers IS DISTINCT FROM k.answers

-- name: closed_questions
SELECT value, question, given, answers FROM closed_question WHERE month = $1 AND revision = $2 AND cut = $3

-- name: live_month_questions
SELECT value, question, given, count(*) AS answers FROM said WHERE cut = $1 AND local_hour BETWEEN $2 AND $3
GROUP BY value, question, given
