-- "Did we send this?": the keyed digest of the shipment's number and the end of the link.
ALTER TABLE invitation ADD COLUMN check_digest bytea;
CREATE INDEX invitation_check ON invitation (check_digest) WHERE check_digest IS NOT NULL;
