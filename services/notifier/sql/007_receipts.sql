-- What comes back: how far messages got, and addresses that take none.

-- The furthest that any report told; NULL: nothing was reported.
ALTER TABLE invitation ADD COLUMN progress text
    CHECK (progress IN ('accepted', 'sent', 'undelivered', 'delivered'));

-- Every report once, whatever the provider repeats.
CREATE TABLE receipt (
    provider      text NOT NULL,
    message_id    text NOT NULL,        -- the provider's
    status        text NOT NULL,        -- in the provider's words
    invitation_id uuid NOT NULL,
    reason        text,
    sealed        bytea,                -- as it came, sealed by the person's key; NULL where that is destroyed
    received_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider, message_id, status)
);
CREATE INDEX receipt_received ON receipt (received_at);

-- Addresses that a provider or mail server called hopeless, by the pseudonym made of kind and address.
CREATE TABLE unreachable (
    person      bytea PRIMARY KEY CHECK (length(person) = 16),
    reason      text NOT NULL,
    reported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    until       timestamptz NOT NULL    -- then it is tried again: addresses are given to new people
);
