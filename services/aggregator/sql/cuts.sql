-- name: follow
-- The share lock keeps `kvittera cuts` waiting until this batch is committed; later batches see what it changed.
SELECT version, minutes_from FROM counting FOR SHARE

-- name: stored_cuts
SELECT cut, windows, state, since FROM counted_cut ORDER BY since, cut

-- name: lock_cuts
SELECT pg_advisory_xact_lock(hashtextextended('aggregator cuts', 0))

-- name: add_cut
INSERT INTO counted_cut (cut, windows, state) VALUES ($1, $2, $3)

-- name: first_version
INSERT INTO counting (version) VALUES (1)

-- name: cuts_of_units
SELECT u.id, u.cut, coalesce(k.windows, CASE WHEN u.cut LIKE '-%' THEN 0 ELSE $2 END) AS windows
FROM unit AS u LEFT JOIN counted_cut AS k ON k.cut = u.cut WHERE u.id = ANY($1::int[])

-- name: move_minutes
-- Waits for the batches that are under way, so that none adds to a minute that is gone.
UPDATE counting SET minutes_from = $1 WHERE minutes_from < $1 RETURNING minutes_from

-- name: drop_minutes
DELETE FROM cell USING unit AS u JOIN counted_cut AS k ON k.cut = u.cut
WHERE k.windows & 32 <> 0
  AND cell BETWEEN (u.id::bigint << 32) + 3758096384 AND (u.id::bigint << 32) + 3758096384 + $1::bigint - 1
RETURNING cell
