-- name: note_member
INSERT INTO staff_member AS m (subject, name, roles, seen_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (subject) DO UPDATE SET name = excluded.name, roles = excluded.roles, seen_at = excluded.seen_at

-- name: members_since
SELECT subject, name, roles FROM staff_member WHERE seen_at > $1 ORDER BY name, subject

-- name: forget_members
DELETE FROM staff_member WHERE seen_at <= $1
