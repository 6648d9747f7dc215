-- How far invitations got, and answers that are kept apart as series of their own.

ALTER TABLE cell ADD COLUMN reached bigint NOT NULL DEFAULT 0, ADD COLUMN opened bigint NOT NULL DEFAULT 0;
-- Missing in months that were closed before these were counted.
ALTER TABLE closed_cell ADD COLUMN reached bigint, ADD COLUMN opened bigint;

-- That a message arrived is a row of a kind of its own.
ALTER TABLE decision DROP CONSTRAINT decision_outcome_check;
ALTER TABLE decision ADD CHECK (outcome IN ('asked', 'suppressed', 'pending', 'failed', 'reached'));

DROP VIEW expected_cell;

-- A row of revision 0 is a page that was opened and not answered yet. Why answers were kept apart before this was
-- not noted.
ALTER TABLE answer ADD COLUMN series text;
UPDATE answer SET series = 'unknown' WHERE apart;
ALTER TABLE answer DROP COLUMN apart;

-- What every cell must hold: a fold of everything counted. Where no cuts are stored, in the standard windows; cuts
-- that were dropped have names that begin with a minus. An answer in a series counts in the units of the series that
-- stand beside its own: 'series' beside 'total', 'terminal.series' beside 'terminal'.
CREATE VIEW expected_cell AS
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
FROM spread GROUP BY cell;

-- The cut by series is always counted, like the total: installations that count already get it with its history.
INSERT INTO counted_cut (cut, windows, state)
SELECT 'series', 31, 'counted' FROM counted_cut WHERE cut = 'total'
ON CONFLICT DO NOTHING;
UPDATE counting SET version = version + 1;
INSERT INTO unit (cut, value) SELECT 'series', 'unknown' WHERE EXISTS (SELECT FROM answer WHERE series IS NOT NULL);

-- Whoever answered has opened the page.
INSERT INTO cell AS c
SELECT e.cell, 1, e.s1, e.s2, e.s3, e.s4, e.s5, e.delivered, e.asked, e.suppressed, e.pending, e.failed, e.commented,
       e.contested, e.reached, e.opened
FROM expected_cell AS e
ON CONFLICT (cell) DO UPDATE SET version = c.version + 1, opened = excluded.opened;

INSERT INTO touched (cells)
SELECT array_agg(cell) FROM (
    SELECT cell, row_number() OVER (ORDER BY cell) / 5000 AS part FROM cell
) AS all_cells
GROUP BY part;
