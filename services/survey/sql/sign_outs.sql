-- name: end_session
INSERT INTO sign_out (subject, session, ended_at) VALUES ($1, $2, $3)

-- name: ended_since
SELECT subject, session, ended_at FROM sign_out WHERE ended_at > $1

-- name: forget_sign_outs
-- Every session that they ended is over by itself.
DELETE FROM sign_out WHERE ended_at <= $1
