-- name: note_audit
-- Of two audits at once the one that ends last is kept.
INSERT INTO audit (ended_at, differences) VALUES (clock_timestamp(), $1)
ON CONFLICT (only_row) DO UPDATE SET ended_at = excluded.ended_at, differences = excluded.differences

-- name: latest_audit
SELECT extract(epoch FROM ended_at)::float8 AS ended, differences FROM audit
