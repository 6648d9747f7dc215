-- name: wishes_beside_comments
SELECT w.response_id, w.sealed AS contact, r.comment_sealed, encode(i.token_sha256, 'hex') AS row,
       decode(i.person_id, 'hex') AS person
FROM contact_wish AS w
JOIN response AS r USING (response_id)
JOIN invitation AS i ON i.invitation_id = w.response_id
WHERE w.response_id = ANY($1::uuid[]) AND r.comment_sealed IS NOT NULL

-- name: keep_masks
UPDATE response AS r SET masked_words = ARRAY(SELECT unnest(r.masked_words) UNION SELECT unnest($2::int[]) ORDER BY 1)
WHERE r.response_id = $1
