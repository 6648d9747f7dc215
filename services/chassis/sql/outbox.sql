-- name: take_shards
SELECT shard FROM unnest($2::int[]) AS shard
WHERE pg_try_advisory_lock(hashtext($1), shard)

-- name: read_waiting
-- Each shard by itself, in the order of its index: however much waits, only what is read costs time. OFFSET 0 makes it a
-- look at the outbox for each; what somebody deleted there has no topic.
SELECT w.shard, w.id, o.*
FROM unnest($1::smallint[]) AS s (shard)
CROSS JOIN LATERAL (SELECT shard, id FROM outbox_waiting WHERE shard = s.shard ORDER BY id LIMIT $2) AS w
LEFT JOIN LATERAL (
    SELECT topic, key, value, event_id, happened_at, traceparent, raw_headers
    FROM outbox WHERE id = w.id OFFSET 0
) AS o ON true

-- name: end_waiting
DELETE FROM outbox_waiting WHERE shard = ANY($1::smallint[]) AND id = ANY($2::bigint[])

-- name: forget_published
-- The oldest rows only: an index on their age would cost every row more than this look does.
-- Behind an id, so that rows which wait do not have to be looked at again and again.
WITH looked AS (
    SELECT shard, id, happened_at < clock_timestamp() - make_interval(secs => $1) AS old
    FROM outbox WHERE id > $2 ORDER BY id LIMIT 10000
), gone AS (
    DELETE FROM outbox WHERE id IN (
        SELECT id FROM looked
        WHERE old AND NOT EXISTS (SELECT FROM outbox_waiting AS w
                                  WHERE w.shard IN (looked.shard, looked.shard + 4) AND w.id = looked.id)
    )
)
SELECT coalesce(max(id) FILTER (WHERE old), $2::bigint) AS behind, count(*) FILTER (WHERE old) = 10000 AS more FROM looked

-- name: measure
-- The oldest is the first of a shard, or of what was put aside there.
SELECT w.waiting, coalesce(extract(epoch FROM clock_timestamp() - o.happened_at), 0)::float8 AS age
FROM (SELECT count(*) AS waiting FROM (SELECT FROM outbox_waiting LIMIT 100000) AS counted) AS w
CROSS JOIN (
    SELECT min(first.id) AS id FROM generate_series(0, 7) AS s (shard)
    CROSS JOIN LATERAL (SELECT id FROM outbox_waiting WHERE shard = s.shard::smallint ORDER BY id LIMIT 1) AS first
) AS oldest
LEFT JOIN outbox AS o ON o.id = oldest.id

-- name: publish_again_since
INSERT INTO outbox_waiting (id, key_hash, shard)
SELECT id, hashbytea(key), shard FROM outbox WHERE happened_at >= $1
ON CONFLICT DO NOTHING
