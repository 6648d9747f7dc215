-- Invitations as the notifier told them, and what people answered.

CREATE TABLE invitation (
    token_sha256  bytea PRIMARY KEY,
    invitation_id uuid NOT NULL UNIQUE,
    expires_at    timestamptz NOT NULL,
    channel       text,
    language      text,
    survey        text,
    brand         text,
    delivery      json NOT NULL, -- the attribution snapshot, passed on untouched
    traceparent   text           -- the trace that the delivery came with; its answer belongs to it
);

-- One response per invitation; every change is a revision, merged per field (guarantee 10).
CREATE TABLE response (
    response_id    uuid PRIMARY KEY, -- the invitation's id; record_answers joins it, a foreign key would cost as much again
    revision       int NOT NULL CHECK (revision > 0),
    score          smallint CHECK (score BETWEEN 1 AND 5),
    reasons        text[],
    comment_sealed bytea,
    contested      boolean NOT NULL DEFAULT false,
    language       text,
    answered_at    timestamptz NOT NULL,
    changed_at     timestamptz NOT NULL
);
