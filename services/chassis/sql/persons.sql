-- name: person_keys
SELECT person, k.wrapped, k.erased_at
FROM unnest($1::bytea[]) AS g (person)
-- OFFSET 0: a look at the index for each, also while there are no statistics yet.
LEFT JOIN LATERAL (SELECT wrapped, erased_at FROM person_key AS p WHERE p.person = g.person OFFSET 0) AS k ON true

-- name: make_person_keys
-- A tombstone gets a new key only where it is the one that was looked up.
INSERT INTO person_key AS k (person, wrapped, sealed_by, erased_at)
SELECT person, wrapped, $4, erased_at
FROM unnest($1::bytea[], $2::bytea[], $3::timestamptz[]) AS g (person, wrapped, erased_at)
ON CONFLICT (person) DO UPDATE SET wrapped = excluded.wrapped, sealed_by = excluded.sealed_by
WHERE k.wrapped IS NULL AND k.erased_at = excluded.erased_at
RETURNING person

-- name: destroy_person_key
INSERT INTO person_key AS k (person, erased_at) VALUES ($1, $2)
ON CONFLICT (person) DO UPDATE SET wrapped = NULL, sealed_by = NULL, erased_at = excluded.erased_at
WHERE k.erased_at IS NULL OR k.erased_at < excluded.erased_at
RETURNING person

-- name: keys_sealed_before
SELECT person, wrapped FROM person_key
WHERE wrapped IS NOT NULL AND sealed_by <> $1
ORDER BY person LIMIT $2 FOR UPDATE SKIP LOCKED

-- name: keep_rewrapped
UPDATE person_key AS k SET wrapped = n.wrapped, sealed_by = $3
FROM unnest($1::bytea[], $2::bytea[]) AS n (person, wrapped) WHERE k.person = n.person

-- name: note_pseudonym_key
-- As long as nobody is known, any key will do.
INSERT INTO pseudonym_key (key_id) VALUES ($1)
ON CONFLICT (single) DO UPDATE SET key_id = excluded.key_id
WHERE NOT EXISTS (SELECT FROM person_key)

-- name: pseudonym_key
SELECT key_id FROM pseudonym_key

-- name: sealed_by
-- From one to the next greater one: the table holds everybody, and few keys sealed them.
WITH RECURSIVE s (key_id) AS (
    SELECT min(sealed_by) FROM person_key WHERE wrapped IS NOT NULL
    UNION ALL
    SELECT (SELECT min(k.sealed_by) FROM person_key AS k WHERE k.wrapped IS NOT NULL AND k.sealed_by > s.key_id)
    FROM s WHERE s.key_id IS NOT NULL
)
SELECT key_id FROM s WHERE key_id IS NOT NULL
