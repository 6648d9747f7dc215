-- Whose tap it is, as the kiosk says: what it calls a person, and which tap of that person was the last. Clocks of
-- kiosks begin again, so no moment of theirs tells; the column of it was in no release.
ALTER TABLE kiosk_response ADD COLUMN visit text, ADD COLUMN tap int NOT NULL DEFAULT 0, DROP COLUMN tapped_at;
CREATE UNIQUE INDEX kiosk_response_visit ON kiosk_response (client_id, visit) WHERE visit IS NOT NULL;
