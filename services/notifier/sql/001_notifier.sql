-- Decisions, invitations and the outbox viewer.

-- One row per delivery and kind, for ever: whatever is repeated upstream, it is decided once (guarantee 3).
CREATE TABLE decision (
    delivery_id      text NOT NULL,
    kind             text NOT NULL,
    decided_at       timestamptz NOT NULL,
    outcome          text NOT NULL CHECK (outcome IN ('scheduled', 'suppressed')),
    reason           text,
    matched          text[] NOT NULL DEFAULT '{}',
    evidence         json NOT NULL DEFAULT '{}',
    next_eligible_at timestamptz,
    PRIMARY KEY (delivery_id, kind),
    CHECK ((outcome = 'suppressed') = (reason IS NOT NULL))
);

-- The invitation is the schedule. Its state is the send state machine:
-- planned -> claimed -> calling -> accepted | refused | in_doubt -> unknown; withheld: stopped at the claim
CREATE TABLE invitation (
    invitation_id uuid PRIMARY KEY,
    delivery_id   text NOT NULL,
    kind          text NOT NULL,
    state         text NOT NULL CHECK (state IN
                  ('planned', 'claimed', 'calling', 'accepted', 'refused', 'in_doubt', 'unknown', 'withheld')),
    revision      int NOT NULL DEFAULT 1,
    person        bytea NOT NULL,
    channel       text NOT NULL,
    language      text NOT NULL,
    due_at        timestamptz NOT NULL,
    occurred_at   timestamptz NOT NULL,
    token_sha256  bytea NOT NULL UNIQUE,
    sealed        bytea,              -- address and token; gone once the fate is known
    drop_id       text,
    message       json NOT NULL,      -- the decided event without what a revision changes
    lease_until   timestamptz,
    fence         int NOT NULL DEFAULT 0,
    attempts      int NOT NULL DEFAULT 0,
    reference     text,
    reason        text,
    called_at     timestamptz,
    settled_at    timestamptz,
    traceparent   text,
    UNIQUE (delivery_id, kind)
);
-- One ask per drop, also when its parcels are decided by two processes at once.
CREATE UNIQUE INDEX invitation_drop ON invitation (drop_id, kind) WHERE drop_id IS NOT NULL;
CREATE INDEX invitation_due ON invitation (due_at) WHERE state = 'planned';
CREATE INDEX invitation_leased ON invitation (lease_until) WHERE state IN ('claimed', 'calling');
CREATE INDEX invitation_in_doubt ON invitation (called_at) WHERE state = 'in_doubt';
CREATE INDEX invitation_person ON invitation (person, occurred_at);

-- The claim asks whether all that is to be told of a delivery has reached Kafka.
CREATE INDEX outbox_unpublished_key ON outbox (key) WHERE published_at IS NULL;

CREATE TABLE switch (
    name       text PRIMARY KEY,
    is_on      boolean NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO switch (name, is_on) VALUES ('sending', true);

-- The outbox viewer: what the default channel "sends". A row per reference makes its hand-over idempotent.
CREATE TABLE viewer_message (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference  text NOT NULL UNIQUE,
    channel    text NOT NULL,
    recipient  text NOT NULL,
    language   text NOT NULL,
    subject    text,
    body       text NOT NULL,
    link       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
