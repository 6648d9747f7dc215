-- name: begin_partition
INSERT INTO progress (topic, part, cluster_id, topic_id, next) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (topic, part) DO NOTHING

-- name: read_partition
SELECT cluster_id, topic_id, next FROM progress WHERE topic = $1 AND part = $2

-- name: read_partitions
SELECT topic, part, next FROM progress WHERE topic = ANY($1::text[])

-- name: lock_partitions
SELECT topic, part, next FROM progress
WHERE (topic, part) IN (SELECT * FROM unnest($1::text[], $2::int[]))
ORDER BY topic, part
FOR UPDATE

-- name: advance_partitions
UPDATE progress AS p SET next = n.new, moved_at = clock_timestamp()
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS n (topic, part, old, new)
WHERE p.topic = n.topic AND p.part = n.part AND p.next = n.old

-- name: keep_dead_letter
INSERT INTO outbox (shard, topic, key, value, raw_headers)
VALUES (hashtext($1 || coalesce(encode($2, 'hex'), '')) & 3, $1, $2, $3, $4)
