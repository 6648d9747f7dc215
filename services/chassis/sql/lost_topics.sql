-- A row that was put aside has four added to its shard: no relay reads there.

-- name: put_aside
-- What `kvittera republish` lets wait a second time may be there already.
WITH gone AS (
    DELETE FROM outbox_waiting WHERE shard = ANY($1::smallint[]) AND id = ANY($2::bigint[])
    RETURNING id, key_hash, shard
)
INSERT INTO outbox_waiting (id, key_hash, shard) SELECT id, key_hash, shard + 4 FROM gone
ON CONFLICT DO NOTHING

-- name: forget_deleted
-- What somebody deleted in the outbox itself waits for nothing.
DELETE FROM outbox_waiting AS w USING unnest($1::smallint[]) AS s (shard)
WHERE w.shard = s.shard + 4 AND NOT EXISTS (SELECT FROM outbox AS o WHERE o.id = w.id)

-- name: lost_topics
SELECT o.topic, count(*) AS n
FROM unnest($1::smallint[]) AS s (shard)
JOIN outbox_waiting AS w ON w.shard = s.shard + 4
JOIN outbox AS o ON o.id = w.id
GROUP BY o.topic

-- name: bring_back
WITH gone AS (
    DELETE FROM outbox_waiting AS w USING unnest($1::smallint[]) AS s (shard)
    WHERE w.shard = s.shard + 4 AND (SELECT topic FROM outbox AS o WHERE o.id = w.id) = $2
    RETURNING w.id, w.key_hash, s.shard
)
INSERT INTO outbox_waiting (id, key_hash, shard) SELECT id, key_hash, shard FROM gone
ON CONFLICT DO NOTHING
