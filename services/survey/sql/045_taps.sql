-- Each tap that came with an Idempotency-Key, and what it became: kept with the visit, for as long as that.
CREATE TABLE kiosk_tap (
    client_id   uuid NOT NULL REFERENCES api_client,
    key_sha256  bytea NOT NULL,
    body_sha256 bytea NOT NULL,
    response_id uuid NOT NULL REFERENCES kiosk_response,
    revision    int NOT NULL,
    PRIMARY KEY (client_id, key_sha256)
);
