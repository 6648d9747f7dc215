-- name: take_shards
SELECT shard FROM unnest($2::int[]) AS shard
WHERE pg_try_advisory_lock(hashtext($1), shard)

-- name: read_unpublished
-- Each shard by itself, in the order of its index: however much waits, only what is read costs time.
SELECT o.*
FROM unnest($1::smallint[]) AS s (shard), LATERAL (
    SELECT id, topic, key, value, event_id, happened_at, traceparent, raw_headers
    FROM outbox
    WHERE published_at IS NULL AND shard = s.shard
    ORDER BY id
    LIMIT $2
) AS o

-- name: mark_published
UPDATE outbox SET published_at = clock_timestamp() WHERE id = ANY($1::bigint[])

-- name: forget_published
-- The oldest rows only: an index on published_at would cost every row more than this look does.
DELETE FROM outbox WHERE id IN (
    SELECT id FROM (SELECT id, published_at FROM outbox ORDER BY id LIMIT 10000) AS oldest
    WHERE published_at < clock_timestamp() - make_interval(secs => $1)
)

-- name: measure
SELECT count(*) AS waiting, coalesce(extract(epoch FROM clock_timestamp() - min(happened_at)), 0)::float8 AS age
FROM (SELECT happened_at FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT 100000) AS waiting

-- name: publish_again_since
UPDATE outbox SET published_at = NULL WHERE published_at IS NOT NULL AND happened_at >= $1
