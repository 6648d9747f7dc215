-- name: end_session
-- The other services hear of it: a copied cookie opens their pages too.
WITH kept AS (
    INSERT INTO sign_out (subject, session, ended_at) VALUES ($1, $2, $3)
)
INSERT INTO outbox (shard, topic, key, value)
VALUES (0, 'session.ended.v1', convert_to($1, 'UTF8'), $4)
