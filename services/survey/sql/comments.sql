-- name: sealed_comments
SELECT r.response_id, r.comment_sealed, r.comment_digest, encode(i.token_sha256, 'hex') AS row, c.sealed AS contact
FROM response AS r
JOIN invitation AS i ON i.invitation_id = r.response_id
LEFT JOIN contact_wish AS c USING (response_id)
WHERE r.response_id = ANY($1::uuid[]) AND r.comment_sealed IS NOT NULL
