-- A link whose dead letter was dropped is never read: its page says so at once. That its message is ours stays true.
ALTER TABLE unread_link ADD COLUMN given_up boolean NOT NULL DEFAULT false;
ALTER TABLE unread_link ADD COLUMN check_digest bytea; -- as that of an invitation
CREATE INDEX unread_link_check ON unread_link (check_digest) WHERE check_digest IS NOT NULL;
