-- When the latest `kvittera audit` ended, and how much differed: the aggregator tells it as metrics.
CREATE TABLE audit (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    ended_at    timestamptz NOT NULL,
    differences bigint      NOT NULL -- lost and doubled answers and differing cells; 0: clean
);
