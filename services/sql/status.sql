-- name: positions
SELECT topic, part, next FROM progress ORDER BY topic, part

-- name: connections
-- What its processes hold; a service that is down holds none. Commands on its tables have another name.
SELECT count(*) AS connections
FROM pg_stat_activity
WHERE application_name = $1 AND datname = current_database()

-- name: unpublished_cells
SELECT count(*) FROM touched

-- name: oldest_doubt
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8 FROM open_send WHERE state = 'in_doubt'

-- name: oldest_unpublished
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(happened_at)), 0)::float8
FROM outbox JOIN outbox_waiting USING (id) WHERE topic = $1
