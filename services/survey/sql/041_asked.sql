-- When the message of an invitation left, or may have left: a reply by text message is about what was asked last.
ALTER TABLE invitation ADD COLUMN asked_at timestamptz;
