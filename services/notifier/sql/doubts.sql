-- name: list_doubts
SELECT invitation_id, delivery_id, kind, channel, reason, attempts, called_at,
       message -> 'delivery' ->> 'merchant_id' AS merchant_id, sealed IS NOT NULL AS can_be_sent
FROM invitation
WHERE state = 'in_doubt' AND invitation_id = ANY (ARRAY(
    SELECT invitation_id FROM open_send WHERE state = 'in_doubt' ORDER BY at LIMIT $1))
ORDER BY called_at

-- name: chosen_doubts
-- Whoever settles one first moves its fence; the other changes nothing.
SELECT invitation_id, delivery_id, kind, state, fence, revision, attempts, channel, message, traceparent
FROM invitation
WHERE state = 'in_doubt' AND invitation_id = ANY (ARRAY(SELECT invitation_id FROM open_send WHERE state = 'in_doubt'))
  AND invitation_id = coalesce($1, invitation_id) AND channel = coalesce($4, channel)
  AND ($2::text IS NULL OR message -> 'delivery' ->> 'merchant_id' = $2)
  AND ($3::text IS NULL OR message -> 'delivery' ->> 'touchpoint' = $3)
ORDER BY called_at LIMIT $5
