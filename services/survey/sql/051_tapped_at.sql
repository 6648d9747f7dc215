-- The last tap of a visitor by the kiosk's own clock, in milliseconds: taps that come late are told apart by it.
ALTER TABLE kiosk_response ADD COLUMN tapped_at bigint;
CREATE INDEX kiosk_response_tapped ON kiosk_response (client_id, tapped_at) WHERE tapped_at IS NOT NULL;
