-- name: list_doubts
SELECT invitation_id, delivery_id, kind, channel, reason, attempts, called_at,
       message -> 'delivery' ->> 'merchant_id' AS merchant_id, sealed IS NOT NULL AS can_be_sent
FROM invitation
WHERE state = 'in_doubt' AND invitation_id = ANY (ARRAY(
    SELECT invitation_id FROM open_send WHERE state = 'in_doubt' ORDER BY at LIMIT $1))
ORDER BY called_at

-- name: chosen_doubts
-- Which they are now, by the number of their last claim: what comes into doubt again later has another.
SELECT invitation_id, fence
FROM invitation
WHERE state = 'in_doubt' AND invitation_id = ANY (ARRAY(SELECT invitation_id FROM open_send WHERE state = 'in_doubt'))
  AND invitation_id = coalesce($1, invitation_id) AND channel = coalesce($4, channel)
  AND ($2::text IS NULL OR message -> 'delivery' ->> 'merchant_id' = $2)
  AND ($3::text IS NULL OR message -> 'delivery' ->> 'touchpoint' = $3)
ORDER BY called_at

-- name: doubts_of
-- Whoever settles one first moves its fence or its state; the other changes nothing.
SELECT i.invitation_id, i.delivery_id, i.kind, i.state, i.fence, i.revision, i.attempts, i.channel, i.message,
       i.traceparent, i.called_at
FROM unnest($1::uuid[], $2::int[]) AS c (invitation_id, fence)
CROSS JOIN LATERAL (SELECT * FROM invitation AS i
                    WHERE i.invitation_id = c.invitation_id AND i.fence = c.fence AND i.state = 'in_doubt' LIMIT 1) AS i
