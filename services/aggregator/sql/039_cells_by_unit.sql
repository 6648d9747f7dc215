-- Packed cells are hashed by PostgreSQL to few numbers: their two halves, unit and place, are laid over each other. A
-- hash table of a hundred thousand of them takes minutes; with the unit as a second key it takes a second.
CREATE OR REPLACE VIEW expected_cell AS
WITH counted AS (
    SELECT units, local_hour, minute, series,
           (score = 1 AND NOT contested)::int AS s1, (score = 2 AND NOT contested)::int AS s2,
           (score = 3 AND NOT contested)::int AS s3, (score = 4 AND NOT contested)::int AS s4,
           (score = 5 AND NOT contested)::int AS s5,
           0 AS delivered, 0 AS asked, 0 AS suppressed, 0 AS pending, 0 AS failed,
           commented::int AS commented, contested::int AS contested, 0 AS reached, (series IS NULL)::int AS opened
    FROM answer
    UNION ALL
    SELECT units, local_hour, minute, NULL, 0, 0, 0, 0, 0, (outcome <> 'reached')::int, (outcome = 'asked')::int,
           (outcome = 'suppressed')::int, (outcome = 'pending')::int, (outcome = 'failed')::int, 0, 0,
           (outcome = 'reached')::int, 0
    FROM decision
), placed AS (
    SELECT u.unit, c.* FROM counted AS c CROSS JOIN LATERAL unnest(c.units) AS u (unit) WHERE c.series IS NULL
    UNION ALL
    SELECT t.id, c.*
    FROM counted AS c
    CROSS JOIN LATERAL unnest(c.units) AS u (unit)
    JOIN unit AS o ON o.id = u.unit
    JOIN unit AS t ON t.cut = CASE o.cut WHEN 'total' THEN 'series' ELSE o.cut || '.series' END
                  AND t.value = CASE o.cut WHEN 'total' THEN c.series ELSE o.value || ' × ' || c.series END
    WHERE c.series IS NOT NULL
), spread AS (
    SELECT (p.unit::bigint << 32) + w.base + w.index AS cell, p.*
    FROM placed AS p
    JOIN unit AS n ON n.id = p.unit
    LEFT JOIN counted_cut AS k ON k.cut = n.cut
    CROSS JOIN LATERAL (VALUES
        (1, 0, p.local_hour),
        (2, 1073741824, p.local_hour / 24),
        (4, 2147483648, ((extract(year FROM date '1970-01-01' + p.local_hour / 24) - 1970) * 12
                         + extract(month FROM date '1970-01-01' + p.local_hour / 24) - 1)::int),
        (8, 3221225472, 0),
        (16, 3489660928, (p.local_hour / 24 + 3) / 7),
        (32, 3758096384, p.local_hour * 60 + p.minute)
    ) AS w (bit, base, index)
    WHERE coalesce(k.windows, CASE WHEN n.cut LIKE '-%' THEN 0 ELSE 31 END) & w.bit <> 0
      AND (w.bit <> 32 OR w.index >= coalesce((SELECT minutes_from FROM counting), 0))
)
SELECT cell, coalesce(sum(s1), 0) AS s1, coalesce(sum(s2), 0) AS s2, coalesce(sum(s3), 0) AS s3,
       coalesce(sum(s4), 0) AS s4, coalesce(sum(s5), 0) AS s5, sum(delivered) AS delivered, sum(asked) AS asked,
       sum(suppressed) AS suppressed, sum(pending) AS pending, sum(failed) AS failed,
       sum(commented) AS commented, sum(contested) AS contested, sum(reached) AS reached, sum(opened) AS opened
FROM spread GROUP BY unit, cell;
