-- name: add_client
INSERT INTO api_client (client_id, name, prefix, secret_sha256, scopes, place, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: all_clients
SELECT * FROM api_client ORDER BY created_at, client_id

-- name: revoke_client
UPDATE api_client SET revoked_at = coalesce(revoked_at, $2) WHERE prefix = $1 RETURNING client_id

-- name: client_with_prefix
SELECT * FROM api_client WHERE prefix = $1
