-- Which cuts are counted in which windows, weeks and minutes beside the windows there were.

-- Set by the first start and changed by `kvittera cuts` only, so that no start counts otherwise than the tables hold.
CREATE TABLE counted_cut (
    cut     text PRIMARY KEY,
    windows int NOT NULL CHECK (windows > 0), -- bits: hour, day, month, all, week, minute
    state   text NOT NULL CHECK (state IN ('counted', 'building', 'leaving')),
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
