-- name: parts
-- The partitions of a table with their bounds as PostgreSQL writes them.
SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds, i.inhdetachpending AS pending
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(quote_ident($1))
ORDER BY 1

-- name: lock_making
SELECT pg_advisory_xact_lock(hashtextextended('kvittera months ' || current_schema(), 0))

-- name: make
-- Filled from the table first and attached then: the table is only locked against other changes of its form, where
-- CREATE TABLE ... PARTITION OF would hold up every reader and writer.
SELECT format('CREATE TABLE %1$I (LIKE %2$I INCLUDING ALL EXCLUDING IDENTITY) %5$s;'
              'ALTER TABLE %2$I ATTACH PARTITION %1$I FOR VALUES FROM (%3$L) TO (%4$L)',
              $1::text, $2::text, $3::text, $4::text, $5::text)

-- name: try_dropping
SELECT pg_try_advisory_lock(hashtext('kvittera drop months ' || current_schema()))

-- name: end_dropping
SELECT pg_advisory_unlock(hashtext('kvittera drop months ' || current_schema()))

-- name: mark
-- What is detached without this word is somebody's own, and stays.
SELECT format('COMMENT ON TABLE %I IS %L', $1::text, 'kvittera: past its time')

-- name: detach
SELECT format('ALTER TABLE %I DETACH PARTITION %I CONCURRENTLY', $1::text, $2::text)

-- name: finish_detaching
SELECT format('ALTER TABLE %I DETACH PARTITION %I FINALIZE', $1::text, $2::text)

-- name: marked
-- Detached by us, now or by a process that died before it could drop them.
SELECT relname AS name FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND NOT relispartition
  AND starts_with(relname, $1 || '_') AND obj_description(oid, 'pg_class') = 'kvittera: past its time'
ORDER BY 1

-- name: drop
SELECT format('DROP TABLE %I', $1::text)
