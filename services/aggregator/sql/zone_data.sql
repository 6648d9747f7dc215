-- name: note_zone_data
INSERT INTO zone_data (version, since)
SELECT $1, $2 WHERE $1 IS DISTINCT FROM (SELECT version FROM zone_data ORDER BY since DESC LIMIT 1)
ON CONFLICT DO NOTHING

-- name: noted_zone_data
SELECT DISTINCT version FROM zone_data ORDER BY version
