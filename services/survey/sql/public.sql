-- name: person_of_link
-- Also of a link that takes no answers any more: who unsubscribes late means it too.
SELECT person_id FROM invitation WHERE token_sha256 = $1 AND person_id IS NOT NULL

-- name: message_is_ours
-- Also one whose invitation could not be read: the message left all the same.
SELECT EXISTS (SELECT FROM invitation WHERE check_digest = $1)
    OR EXISTS (SELECT FROM unread_link WHERE check_digest = $1 AND put_aside_at > clock_timestamp() - interval '14 days')
