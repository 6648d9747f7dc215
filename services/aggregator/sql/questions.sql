-- name: keep_questions
INSERT INTO question (response_id, local_hour, said)
SELECT a.response_id, a.local_hour, q.said::jsonb
FROM unnest($1::uuid[], $2::text[]) AS q (response_id, said) JOIN answer AS a USING (response_id)
ON CONFLICT (response_id) DO UPDATE SET local_hour = excluded.local_hour, said = excluded.said

-- name: forget_questions
DELETE FROM question WHERE response_id = ANY($1::uuid[])

-- name: said_in_unit
-- How often each value was given to each question in the deliveries of a unit, in the hours $3 to $4. The index is of
-- people who answered all three of its questions: the sum of the three.
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
