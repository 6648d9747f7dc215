-- name: list_doubts
SELECT invitation_id, delivery_id, kind, channel, reason, attempts, called_at,
       message -> 'delivery' ->> 'merchant_id' AS merchant_id, sealed IS NOT NULL AS can_be_sent
FROM invitation
WHERE state = 'in_doubt' AND invitation_id = ANY (ARRAY(
    SELECT invitation_id FROM open_send WHERE state = 'in_doubt' ORDER BY at LIMIT $1))
ORDER BY called_at

-- name: lock_doubt
SELECT invitation_id, delivery_id, kind, state, fence, revision, attempts, channel, message, traceparent
FROM invitation WHERE invitation_id = $1 AND state = 'in_doubt' FOR UPDATE
