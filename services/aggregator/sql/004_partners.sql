-- Partners, what was released to them, and what their topics hold.

CREATE TABLE partner (
    partner       text PRIMARY KEY CHECK (partner ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    audience      text NOT NULL CHECK (audience IN ('partner', 'public')),
    merchants     text[],             -- their own deliveries only; missing: those of all merchants
    cuts          text[] NOT NULL,    -- from coarse to fine
    time_window   text NOT NULL CHECK (time_window IN ('week', 'month')),
    grid          text NOT NULL CHECK (grid IN ('day', 'week', 'month')),
    lot           bytea NOT NULL,     -- secret: which cells are held by lot at which moment
    prefix        text NOT NULL UNIQUE,
    secret_sha256 bytea NOT NULL,     -- of 256 random bits
    created_at    timestamptz NOT NULL,
    revoked_at    timestamptz,
    published_at  timestamptz NOT NULL -- the moment of the grid that was worked on last
);

-- What each respondent was last released as, and in which cell: there for ever.
CREATE TABLE partner_release (
    partner     text NOT NULL REFERENCES partner,
    response_id uuid NOT NULL,
    time_window text NOT NULL,
    unit        text[] NOT NULL,      -- the finest unit
    depth       smallint NOT NULL,    -- how much of it names the cell
    grouped     boolean NOT NULL,
    day         int NOT NULL,
    merchant    text,
    score       smallint,             -- missing: it does not count any more
    PRIMARY KEY (partner, response_id)
);

-- The truth of each partner topic: the last value of each key, byte for byte; no value is a tombstone.
CREATE TABLE partner_cell (
    partner text NOT NULL REFERENCES partner,
    key     text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    value   bytea,
    as_of   timestamptz NOT NULL,
    sent    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (partner, key)
);
