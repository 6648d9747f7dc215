-- Reads the table once while others read and write, so that attaching it needs no look at it.
ALTER TABLE invitation VALIDATE CONSTRAINT invitation_bound;
