-- name: praise_of
SELECT * FROM praise WHERE praise_id = ANY($1::uuid[]) ORDER BY praise_id FOR UPDATE

-- name: keep_praise
INSERT INTO praise AS p (praise_id, revision, response_revision, state, score, reasons, comment_digest, masks, carrier,
                         terminal, route, driver, service_point, method, country, zone, occurred_at, praised_at,
                         pass_on_by, passed_on_at, owner, owner_name, withdrawn_from)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
ON CONFLICT (praise_id) DO UPDATE SET
    revision = excluded.revision, response_revision = excluded.response_revision, state = excluded.state,
    score = excluded.score, reasons = excluded.reasons, comment_digest = excluded.comment_digest,
    masks = excluded.masks, carrier = excluded.carrier, terminal = excluded.terminal, route = excluded.route,
    driver = excluded.driver, service_point = excluded.service_point, method = excluded.method,
    country = excluded.country, zone = excluded.zone, occurred_at = excluded.occurred_at,
    praised_at = excluded.praised_at, pass_on_by = excluded.pass_on_by, passed_on_at = excluded.passed_on_at,
    owner = excluded.owner, owner_name = excluded.owner_name, withdrawn_from = excluded.withdrawn_from

-- name: keep_event
INSERT INTO praise_event (praise_id, at, what, member, member_name, note_sealed) VALUES ($1, $2, $3, $4, $5, $6)

-- name: tell
INSERT INTO outbox (shard, topic, key, value)
SELECT hashtext(key) & 3, 'feedback.praise.v1', convert_to(key, 'UTF8'), value
FROM unnest($1::text[], $2::bytea[]) AS e (key, value)

-- name: lock_driver
-- Alone, before any row is locked: two who ask for one driver's praise would each wait for a row of the other's.
SELECT pg_advisory_xact_lock(hashtext('praise of drivers'), hashtext($1) & 63)

-- name: share_drivers
-- Together with others: no driver declines between the look at who has declined and the commit of new praise. A batch
-- holds 64 locks at most, however many drivers it praises.
SELECT pg_advisory_xact_lock_shared(hashtext('praise of drivers'), part)
FROM (SELECT DISTINCT hashtext(driver) & 63 AS part FROM unnest($1::text[]) AS d (driver) ORDER BY part) AS parts

-- name: declined_drivers
SELECT driver FROM driver_opt_out WHERE driver = ANY($1::text[])

-- name: decline_driver
INSERT INTO driver_opt_out (driver, since, member) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: welcome_driver
DELETE FROM driver_opt_out WHERE driver = $1

-- name: praise_of_driver
SELECT * FROM praise WHERE driver = $1 AND state <> 'withdrawn' ORDER BY praise_id FOR UPDATE

-- name: lock_signs
SELECT pg_advisory_xact_lock(hashtextextended('driver signs of ' || $1, 0))

-- name: give_sign
INSERT INTO driver_sign (terminal, driver, number)
SELECT $1, $2, coalesce((SELECT max(number) + 1 FROM driver_sign WHERE terminal = $1), 0)
ON CONFLICT DO NOTHING

-- name: queue
SELECT p.*, s.number, o.driver IS NOT NULL AS driver_declined
FROM praise AS p
LEFT JOIN driver_sign AS s ON s.terminal = p.terminal AND s.driver = p.driver
LEFT JOIN driver_opt_out AS o ON o.driver = p.driver
WHERE p.state = ANY($1::text[]) AND ($2::text[] IS NULL OR p.terminal = ANY($2))
  AND ($4::timestamptz IS NULL OR (p.pass_on_by, p.praise_id) > ($4, $5::uuid))
ORDER BY p.pass_on_by, p.praise_id
LIMIT $3

-- name: counts
SELECT state, count(*) AS n, count(*) FILTER (WHERE pass_on_by < $2) AS late
FROM praise WHERE ($1::text[] IS NULL OR terminal = ANY($1)) AND state IN ('waiting', 'disputed')
GROUP BY state

-- name: one
SELECT p.*, s.number, o.driver IS NOT NULL AS driver_declined
FROM praise AS p
LEFT JOIN driver_sign AS s ON s.terminal = p.terminal AND s.driver = p.driver
LEFT JOIN driver_opt_out AS o ON o.driver = p.driver
WHERE p.praise_id = $1

-- name: timeline
SELECT at, what, member_name, note_sealed FROM praise_event WHERE praise_id = $1 ORDER BY event_id

-- name: quotes
SELECT p.praise_id, p.comment_digest, p.masks, p.route, p.method, p.country, p.score,
       CASE WHEN o.driver IS NULL THEN s.number END AS number
FROM praise AS p
LEFT JOIN driver_sign AS s ON s.terminal = p.terminal AND s.driver = p.driver
LEFT JOIN driver_opt_out AS o ON o.driver = p.driver
WHERE p.terminal = $1 AND p.state = 'on_board' AND p.score >= 4 AND p.praised_at >= $2
ORDER BY p.praised_at DESC
LIMIT $3

-- name: said_of_driver
SELECT praise_id, comment_digest, masks, country, score, zone, occurred_at
FROM praise
WHERE driver = $1 AND praised_at >= $2 AND score >= 4 AND comment_digest IS NOT NULL
  AND state IN ('waiting', 'passed_on', 'on_board')
ORDER BY praised_at DESC, praise_id
LIMIT $3

-- name: tally
SELECT count(*) FILTER (WHERE praised_at >= $2) AS today,
       count(*) FILTER (WHERE praised_at >= $2 AND passed_on_at IS NOT NULL) AS passed_on,
       count(*) AS recent
FROM praise
WHERE terminal = $1 AND praised_at >= $3 AND state NOT IN ('withdrawn', 'declined')

-- name: reason_of_day
SELECT reason FROM praise, unnest(reasons) AS reason
WHERE terminal = $1 AND praised_at >= $2 AND state NOT IN ('withdrawn', 'declined')
GROUP BY reason ORDER BY count(*) DESC, reason LIMIT 1

-- name: zone_of
SELECT zone FROM praise WHERE terminal = $1 ORDER BY praised_at DESC LIMIT 1

-- name: add_board
INSERT INTO board (key_sha256, terminal, title, language) VALUES ($1, $2, $3, $4)

-- name: board_of
SELECT terminal, title, language FROM board WHERE key_sha256 = $1 AND terminal = $2 AND revoked_at IS NULL

-- name: boards
SELECT encode(substring(key_sha256 FOR 4), 'hex') AS name, terminal, title, language, created_at, revoked_at
FROM board ORDER BY terminal, created_at

-- name: revoke_board
UPDATE board SET revoked_at = clock_timestamp()
WHERE encode(substring(key_sha256 FOR 4), 'hex') = $1 AND revoked_at IS NULL

-- name: terminals
-- One step of the index for each terminal, however much praise there is.
WITH RECURSIVE praised AS (
    (SELECT terminal FROM praise WHERE terminal IS NOT NULL ORDER BY terminal LIMIT 1)
    UNION ALL
    SELECT (SELECT p.terminal FROM praise AS p WHERE p.terminal > praised.terminal ORDER BY p.terminal LIMIT 1)
    FROM praised WHERE praised.terminal IS NOT NULL
)
SELECT terminal FROM praised WHERE terminal IS NOT NULL
UNION
SELECT terminal FROM board WHERE revoked_at IS NULL
ORDER BY 1
