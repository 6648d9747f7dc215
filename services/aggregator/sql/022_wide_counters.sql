-- The count of all deliveries would not fit into four bytes after two years of a large carrier.
ALTER TABLE cell
    ALTER COLUMN s1 TYPE bigint,
    ALTER COLUMN s2 TYPE bigint,
    ALTER COLUMN s3 TYPE bigint,
    ALTER COLUMN s4 TYPE bigint,
    ALTER COLUMN s5 TYPE bigint,
    ALTER COLUMN delivered TYPE bigint,
    ALTER COLUMN asked TYPE bigint,
    ALTER COLUMN suppressed TYPE bigint,
    ALTER COLUMN pending TYPE bigint,
    ALTER COLUMN failed TYPE bigint,
    ALTER COLUMN commented TYPE bigint,
    ALTER COLUMN contested TYPE bigint;

ALTER TABLE closed_cell
    ALTER COLUMN s1 TYPE bigint,
    ALTER COLUMN s2 TYPE bigint,
    ALTER COLUMN s3 TYPE bigint,
    ALTER COLUMN s4 TYPE bigint,
    ALTER COLUMN s5 TYPE bigint,
    ALTER COLUMN delivered TYPE bigint,
    ALTER COLUMN asked TYPE bigint,
    ALTER COLUMN suppressed TYPE bigint,
    ALTER COLUMN pending TYPE bigint,
    ALTER COLUMN failed TYPE bigint,
    ALTER COLUMN commented TYPE bigint,
    ALTER COLUMN contested TYPE bigint;
