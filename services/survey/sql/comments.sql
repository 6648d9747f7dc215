-- name: sealed_comments
SELECT r.response_id, r.comment_sealed, encode(i.token_sha256, 'hex') AS row
FROM response AS r JOIN invitation AS i ON i.invitation_id = r.response_id
WHERE r.response_id = ANY($1::uuid[]) AND r.comment_sealed IS NOT NULL
