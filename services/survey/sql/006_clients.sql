-- Programs that give answers: apps, kiosks, and the replies that a gateway hands over.

CREATE TABLE api_client (
    client_id     uuid PRIMARY KEY,
    name          text NOT NULL,
    prefix        text NOT NULL UNIQUE,   -- the part of the key that may be shown
    secret_sha256 bytea NOT NULL,         -- of 256 random bits, so no slow hash is needed
    scopes        text[] NOT NULL CHECK (cardinality(scopes) > 0),
    place         json,                   -- where a kiosk stands
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    revoked_at    timestamptz,
    CHECK (('kiosk' = ANY (scopes)) = (place IS NOT NULL))
);

-- Which program recorded which answer: it may read and change its own, and no other.
CREATE TABLE api_response (
    client_id   uuid NOT NULL REFERENCES api_client,
    response_id uuid NOT NULL,
    PRIMARY KEY (client_id, response_id)
);

-- Requests that must have their effect once: Idempotency-Key by client, webhook-id by gateway. Kept for a day.
CREATE TABLE request_once (
    owner       text NOT NULL,
    key         text NOT NULL,
    body_sha256 bytea NOT NULL,
    reply       json,                     -- missing while the request runs
    taken_at    timestamptz NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE INDEX request_once_taken ON request_once (taken_at);

-- Answers of people who came by. They were not invited, so they have a table of their own.
CREATE TABLE kiosk_response (
    response_id uuid PRIMARY KEY,
    client_id   uuid NOT NULL REFERENCES api_client,
    revision    int NOT NULL CHECK (revision > 0),
    score       smallint NOT NULL CHECK (score BETWEEN 1 AND 5),
    answered_at timestamptz NOT NULL,
    changed_at  timestamptz NOT NULL
);
CREATE INDEX kiosk_response_latest ON kiosk_response (client_id, changed_at DESC);
