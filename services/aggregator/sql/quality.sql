-- name: closed_cells_of_month
-- Counters of every revision of a month, for the cuts of the quality page. Each month has its strata:
-- whether it may be told at all depends on them, also where it is a point of a later month's line. So it does on those
-- of the merchants whose deliveries partners are shown, and of $3.
WITH theirs AS (
    SELECT unnest(merchants) AS merchant FROM partner UNION SELECT unnest($3::text[])
), closed AS (
    SELECT month, revision, reason, closed_at, zone_data,
           EXISTS (SELECT FROM closed_cell AS k
                   WHERE k.month = m.month AND k.revision = m.revision AND k.cut = 'merchant') AS by_merchant
    FROM closed_month AS m WHERE month = $1
)
SELECT m.revision, m.reason, m.closed_at, m.zone_data, m.by_merchant, c.cut, c.value,
       c.s1, c.s2, c.s3, c.s4, c.s5, c.delivered, c.asked, c.reached
FROM closed AS m JOIN closed_cell AS c USING (month, revision)
WHERE c.cut IN ('total', 'method', 'late', 'disrupted') OR c.cut LIKE 'wave%' OR c.cut = ANY($2::text[])
   OR c.cut = 'merchant' AND c.value IN (SELECT merchant FROM theirs)
   OR (c.cut IN ('merchant.method', 'merchant.disrupted') OR c.cut LIKE 'merchant.wave%')
      AND EXISTS (SELECT FROM theirs AS t WHERE starts_with(c.value, t.merchant || ' × '))
ORDER BY m.revision, c.cut, c.value

-- name: readers
-- Whose deliveries each partner sees; of one that was revoked also the months that its windows touch.
SELECT p.merchants, CASE WHEN p.revoked_at IS NOT NULL THEN ARRAY(
    SELECT DISTINCT (12 * (extract(year FROM d.day) - 1970) + extract(month FROM d.day) - 1)::int
    FROM partner_cell AS c
    -- A window is a month, or a week that begins on the day that names it.
    CROSS JOIN LATERAL (SELECT to_date(rpad(substring(c.key FROM '[^|]*$'), 10, '-01'), 'YYYY-MM-DD')) AS s (starts)
    CROSS JOIN LATERAL (VALUES (s.starts), (s.starts + 6)) AS d (day)
    WHERE c.partner = p.partner
) END AS months
FROM partner AS p

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
