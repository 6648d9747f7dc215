-- name: closed_cells_of_month
-- Counters of every revision of a month, for the cuts of the quality page. Each month has its strata:
-- whether it may be told at all depends on them, also where it is a point of a later month's line.
SELECT m.revision, m.reason, m.closed_at, m.zone_data, c.cut, c.value, c.s1, c.s2, c.s3, c.s4, c.s5,
       c.delivered, c.asked, c.reached
FROM closed_month AS m JOIN closed_cell AS c USING (month, revision)
WHERE m.month = $1
  AND (c.cut IN ('total', 'method', 'late', 'disrupted') OR c.cut LIKE 'wave%' OR c.cut = ANY($2::text[]))
ORDER BY m.revision, c.cut, c.value

-- name: closed_sums_of_month
-- Of everything, how often each sum of the three questions of the index was given.
SELECT revision, given, answers FROM closed_question
WHERE month = $1 AND cut = 'total' AND value = '' AND question = 'index'

-- name: months_closed
SELECT month, max(revision) AS revision FROM closed_month GROUP BY month ORDER BY month

-- name: changes_of_a_country
SELECT what, starts_on FROM intervention WHERE cut IN ('total', 'country') ORDER BY starts_on, id

-- name: closed_months_of_a_driver
-- As first closed: two revisions of a few answers each could be subtracted.
SELECT month, s1, s2, s3, s4, s5 FROM closed_cell
WHERE cut = 'driver' AND value = $1 AND revision = 1 AND month > $2
ORDER BY month DESC
