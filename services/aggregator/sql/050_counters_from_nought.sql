-- A large batch names only the counters that it changes: a new cell begins all others at nought. No row is touched.
ALTER TABLE cell
    ALTER COLUMN s1 SET DEFAULT 0,
    ALTER COLUMN s2 SET DEFAULT 0,
    ALTER COLUMN s3 SET DEFAULT 0,
    ALTER COLUMN s4 SET DEFAULT 0,
    ALTER COLUMN s5 SET DEFAULT 0,
    ALTER COLUMN delivered SET DEFAULT 0,
    ALTER COLUMN asked SET DEFAULT 0,
    ALTER COLUMN suppressed SET DEFAULT 0,
    ALTER COLUMN pending SET DEFAULT 0,
    ALTER COLUMN failed SET DEFAULT 0,
    ALTER COLUMN commented SET DEFAULT 0,
    ALTER COLUMN contested SET DEFAULT 0;
