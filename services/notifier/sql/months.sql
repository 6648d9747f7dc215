-- name: open_requests
SELECT EXISTS (SELECT FROM open_send WHERE invitation_id >= $1 AND invitation_id < $2)

-- name: keep_sums
-- Nothing in a month without an open request changes its state any more, so the sums hold until it is gone.
-- $1 the partition, $2 and $3 its bounds as ids, $4 and $5 as moments.
INSERT INTO month_sum AS m (part, starts, ends, state, reason, n)
SELECT $1, $4::timestamptz, $5::timestamptz, state, CASE WHEN state = 'withheld' THEN reason ELSE '' END AS why, count(*)
FROM invitation WHERE kind = 'ask' AND invitation_id >= $2 AND invitation_id < $3
GROUP BY state, why
ON CONFLICT (part, state, reason) DO UPDATE SET n = excluded.n
