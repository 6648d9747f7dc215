-- name: note_definitions
-- Notes what is new, and what has changed but was never asked; the rest stays as it was noted.
INSERT INTO survey_definition AS noted (id, sha256)
SELECT * FROM unnest($1::text[], $2::bytea[])
ON CONFLICT (id) DO UPDATE SET sha256 = excluded.sha256, noted_at = now()
WHERE noted.sha256 <> excluded.sha256
  AND NOT EXISTS (SELECT FROM invitation AS i WHERE i.survey = noted.id)

-- name: changed_definitions
SELECT noted.id
FROM unnest($1::text[], $2::bytea[]) AS now (id, sha256)
JOIN survey_definition AS noted ON noted.id = now.id AND noted.sha256 <> now.sha256
ORDER BY noted.id
