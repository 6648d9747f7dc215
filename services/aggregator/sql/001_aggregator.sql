-- Counters per unit and window, the last revision of everything counted, and what must be published.

-- A unit is one value of one cut: terminal = Årsta. Short numbers keep the counters small.
CREATE TABLE unit (
    id    int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cut   text NOT NULL,
    value text NOT NULL,
    UNIQUE (cut, value)
);

-- The last revision of each answer, with the units and the local hour it is counted under for ever.
CREATE TABLE answer (
    response_id uuid PRIMARY KEY,
    revision    int NOT NULL,
    score       smallint,
    commented   boolean NOT NULL,
    contested   boolean NOT NULL,
    apart       boolean NOT NULL, -- kept out of the counters: about another party, uninvited, or by a machine
    local_hour  int NOT NULL,     -- hours since 1970-01-01 00:00 on the clock of the delivery's zone
    units       int[] NOT NULL
);

-- The last revision of each decision; every delivery has exactly one of each kind.
CREATE TABLE decision (
    delivery_id text NOT NULL,
    kind        text NOT NULL,
    revision    int NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('asked', 'suppressed', 'pending', 'failed')),
    local_hour  int NOT NULL,
    units       int[] NOT NULL,
    PRIMARY KEY (delivery_id, kind)
);

-- cell = unit << 32 | window << 30 | index, as services/aggregator/counting.py packs it.
CREATE TABLE cell (
    cell       bigint PRIMARY KEY,
    version    bigint NOT NULL,
    s1         int NOT NULL,
    s2         int NOT NULL,
    s3         int NOT NULL,
    s4         int NOT NULL,
    s5         int NOT NULL,
    delivered  int NOT NULL,
    asked      int NOT NULL,
    suppressed int NOT NULL,
    pending    int NOT NULL,
    failed     int NOT NULL,
    commented  int NOT NULL,
    contested  int NOT NULL
) WITH (fillfactor = 70);

-- The outbox of this service holds dead letters; changed cells are told by number, a row per commit.
CREATE TABLE touched (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cells bigint[] NOT NULL
);
