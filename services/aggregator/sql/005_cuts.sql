-- Which cuts are counted in which windows, weeks and minutes beside the windows there were.

-- Set by the first start and changed by `kvittera cuts` only, so that no start counts otherwise than the tables hold.
CREATE TABLE counted_cut (
    cut     text PRIMARY KEY,
    windows int NOT NULL CHECK (windows > 0), -- bits: hour, day, month, all, week, minute
    next    int CHECK (next > 0),             -- the windows after the next switch, where they change
    state   text NOT NULL CHECK (state IN ('counted', 'building', 'built', 'leaving')),
    since   timestamptz NOT NULL DEFAULT now()
);

-- One row once a first start has set the cuts. Every batch holds a share lock on it, so a change waits for all.
CREATE TABLE counting (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    version      int NOT NULL,              -- counts the changes of counted_cut
    minutes_from bigint NOT NULL DEFAULT 0  -- minutes since 1970 on the wall clock; earlier minute cells are gone
);

-- Minute of the local hour; what was counted before has none and is in no minute cell.
ALTER TABLE answer ADD COLUMN minute smallint;
ALTER TABLE decision ADD COLUMN minute smallint;

-- Weeks are sums of days.
INSERT INTO cell
SELECT (cell >> 32 << 32) | (3489660928 + ((cell & 1073741823) + 3) / 7), max(version), sum(s1), sum(s2), sum(s3), sum(s4),
       sum(s5), sum(delivered), sum(asked), sum(suppressed), sum(pending), sum(failed), sum(commented), sum(contested)
FROM cell WHERE (cell & 4294967295) BETWEEN 1073741824 AND 2147483647
GROUP BY 1;

INSERT INTO touched (cells)
SELECT array_agg(cell) FROM (
    SELECT cell, row_number() OVER (ORDER BY cell) / 5000 AS part FROM cell
    WHERE (cell & 4294967295) BETWEEN 3489660928 AND 3758096383
) AS week
GROUP BY part;

-- What every cell must hold: a fold of everything counted. Where no cuts are stored, in the standard windows; cuts
-- that were dropped have names that begin with a minus.
CREATE VIEW expected_cell AS
WITH counted AS (
    SELECT units, local_hour, minute,
           (score = 1 AND NOT contested)::int AS s1, (score = 2 AND NOT contested)::int AS s2,
           (score = 3 AND NOT contested)::int AS s3, (score = 4 AND NOT contested)::int AS s4,
           (score = 5 AND NOT contested)::int AS s5,
           0 AS delivered, 0 AS asked, 0 AS suppressed, 0 AS pending, 0 AS failed,
           commented::int AS commented, contested::int AS contested
    FROM answer WHERE NOT apart
    UNION ALL
    SELECT units, local_hour, minute, 0, 0, 0, 0, 0, 1, (outcome = 'asked')::int, (outcome = 'suppressed')::int,
           (outcome = 'pending')::int, (outcome = 'failed')::int, 0, 0
    FROM decision
), spread AS (
    SELECT (u.unit::bigint << 32) + w.base + w.index AS cell, c.*
    FROM counted AS c
    CROSS JOIN LATERAL unnest(c.units) AS u (unit)
    JOIN unit AS n ON n.id = u.unit
    LEFT JOIN counted_cut AS k ON k.cut = n.cut
    CROSS JOIN LATERAL (VALUES
        (1, 0, c.local_hour),
        (2, 1073741824, c.local_hour / 24),
        (4, 2147483648, ((extract(year FROM date '1970-01-01' + c.local_hour / 24) - 1970) * 12
                         + extract(month FROM date '1970-01-01' + c.local_hour / 24) - 1)::int),
        (8, 3221225472, 0),
        (16, 3489660928, (c.local_hour / 24 + 3) / 7),
        (32, 3758096384, c.local_hour * 60 + c.minute)
    ) AS w (bit, base, index)
    WHERE coalesce(k.windows, CASE WHEN n.cut LIKE '-%' THEN 0 ELSE 31 END) & w.bit <> 0
      AND (w.bit <> 32 OR w.index >= coalesce((SELECT minutes_from FROM counting), 0))
)
SELECT cell, coalesce(sum(s1), 0) AS s1, coalesce(sum(s2), 0) AS s2, coalesce(sum(s3), 0) AS s3,
       coalesce(sum(s4), 0) AS s4, coalesce(sum(s5), 0) AS s5, sum(delivered) AS delivered, sum(asked) AS asked,
       sum(suppressed) AS suppressed, sum(pending) AS pending, sum(failed) AS failed,
       sum(commented) AS commented, sum(contested) AS contested
FROM spread GROUP BY cell;
