-- name: record_view
INSERT INTO contact_view (subject, member, response_id, reason) VALUES ($1, $2, $3, $4)

-- name: views
SELECT viewed_at, subject, member, response_id, reason
FROM contact_view
WHERE viewed_at >= $1
    AND ($2::text IS NULL OR subject = $2)
    AND ($3::uuid IS NULL OR response_id = $3)
ORDER BY viewed_at DESC, view_id DESC
LIMIT $4
