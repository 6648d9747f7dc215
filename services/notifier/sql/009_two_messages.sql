-- Two messages of one request are told from two reports of one message by the provider's ids.
ALTER TABLE receipt ADD COLUMN progress text; -- what the status means; NULL in rows from before
CREATE INDEX receipt_invitation ON receipt (invitation_id);
