-- name: live_cells
-- All cells that anybody watches, in one statement: by cut and window, of one value or of one method where named. Nobody
-- watches a cut that is still being built.
SELECT w.place, u.cut, u.value, c.*
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY AS w (cut, code, value, method, place)
JOIN unit AS u ON u.cut = w.cut AND (w.value IS NULL OR u.value = w.value)
              AND (w.method IS NULL OR split_part(u.value, $5, 2) = w.method)
JOIN cell AS c ON c.cell = (u.id::bigint << 32) + w.code
WHERE NOT EXISTS (SELECT FROM counted_cut AS b WHERE b.cut = u.cut AND b.state IN ('building', 'built'))
ORDER BY w.place, u.value

-- name: live_days
-- Satisfied, dissatisfied and all answers by day, from day $3 to day $4; $2 is where the indexes of days begin.
SELECT u.value, (c.cell - (u.id::bigint << 32) - $2)::int AS day, c.s1 + c.s2 AS dissatisfied, c.s4 + c.s5 AS satisfied,
       c.s1 + c.s2 + c.s3 + c.s4 + c.s5 AS answers
FROM unit AS u
JOIN cell AS c ON c.cell BETWEEN (u.id::bigint << 32) + $2 + $3::bigint AND (u.id::bigint << 32) + $2 + $4::bigint
WHERE u.cut = $1 AND ($5::text IS NULL OR u.value = $5) AND ($6::text IS NULL OR split_part(u.value, $7, 2) = $6)
  AND NOT EXISTS (SELECT FROM counted_cut AS b WHERE b.cut = u.cut AND b.state IN ('building', 'built'))

-- name: open_cases
SELECT coalesce(terminal, '') AS terminal, count(*) AS cases FROM complaint WHERE is_open GROUP BY 1

-- name: alerts_to_mark
-- Alarms of a cut that were raised since $2, of one method where named, the newest first.
SELECT value, day, since, raised_at FROM alert
WHERE cut = $1 AND raised_at >= $2 AND ($3::text IS NULL OR split_part(value, $4, 2) = $3)
ORDER BY raised_at DESC, alert_id LIMIT 50
