-- name: keep_sign_outs
INSERT INTO sign_out (subject, session, ended_at) SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])

-- name: ended_since
SELECT subject, session, ended_at FROM sign_out WHERE ended_at > $1

-- name: forget_sign_outs
-- Every session that they ended is over by itself.
DELETE FROM sign_out WHERE ended_at <= $1
