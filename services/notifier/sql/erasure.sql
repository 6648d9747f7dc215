-- name: latest_delivery
-- The last one that the person is or was asked about.
SELECT max(occurred_at) FROM invitation WHERE person = $1

-- name: withdraw_invitations
UPDATE invitation
SET state = 'withheld', reason = 'erased', settled_at = clock_timestamp(), revision = revision + 1, fence = fence + 1
WHERE person = $1 AND state IN ('planned', 'claimed')
  AND invitation_id >= (SELECT invitation_id FROM open_send ORDER BY invitation_id LIMIT 1)
RETURNING delivery_id, kind, revision, message, traceparent

-- name: forget_secrets
-- What is just being sent stays in its state, so that the ledger and guarantee 4 hold; nothing in it can be opened.
UPDATE invitation SET sealed = NULL WHERE person = $1 AND sealed IS NOT NULL

-- name: forget_unreachable
DELETE FROM unreachable WHERE person = $1

-- name: forget_messages
UPDATE viewer_message SET sealed = NULL WHERE person = $1 AND sealed IS NOT NULL
