-- Disruptions as they stand, so that the live page can tell of them beside its line.
CREATE TABLE disruption (
    disruption_id text PRIMARY KEY,
    revision      int NOT NULL,
    kind          text NOT NULL,
    countries     text[] NOT NULL,
    stands        boolean NOT NULL,     -- planned, active or over; not withdrawn
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz           -- none: until further notice
);
