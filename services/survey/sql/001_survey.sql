-- Invitations as the notifier told them, and what people answered.

CREATE TABLE invitation (
    token_sha256  bytea PRIMARY KEY,
    invitation_id uuid NOT NULL UNIQUE,
    person_id     text,          -- pseudonym, 32 hex digits; none in old invitations and at kiosks
    expires_at    timestamptz NOT NULL,
    channel       text,
    language      text,
    survey        text,          -- the definition, chosen once: a newer version never moves into a begun answer
    rated         text NOT NULL DEFAULT 'carrier', -- whom that definition is about
    invited       boolean NOT NULL DEFAULT true,   -- false where the person came by, as at a kiosk
    brand         text,
    delivery      json NOT NULL, -- the attribution snapshot, passed on untouched
    traceparent   text           -- the trace that the delivery came with; its answer belongs to it
);

-- One response per invitation; every change is a revision, merged per field (guarantee 10).
-- What is NULL was never said.
CREATE TABLE response (
    response_id        uuid PRIMARY KEY, -- the invitation's id; record_answers joins it, a foreign key would cost as much again
    revision           int NOT NULL CHECK (revision > 0),
    score              smallint CHECK (score BETWEEN 1 AND 5),
    reasons            text[],
    follow_ups         jsonb,
    comment_sealed     bytea,
    comment_digest     bytea,   -- keyed: tells that the same comment came again, and nothing else
    contested          boolean,
    contested_revision int NOT NULL DEFAULT 0, -- counts what was said about the parcel never having come
    wants_contact      boolean,
    rated              text NOT NULL DEFAULT 'carrier', -- whom it is about; staff may re-label it
    suspected_machine  boolean NOT NULL DEFAULT false,
    erased             boolean NOT NULL DEFAULT false,
    channel            text NOT NULL DEFAULT 'web', -- where the last change came in
    language           text,
    answered_at        timestamptz NOT NULL,
    changed_at         timestamptz NOT NULL,
    tried              bytea[]  -- the last 8 attempts with an Idempotency-Key: 8 bytes of its hash, 8 of the body's, revision
);

-- How to reach a person who asked for it: apart from the answer, so that it can be erased alone.
CREATE TABLE contact_wish (
    response_id     uuid PRIMARY KEY,
    sealed          bytea NOT NULL, -- name and address as JSON
    consent_version text NOT NULL,  -- the words that were agreed to
    language        text,
    given_at        timestamptz NOT NULL
);

-- How often and where a person may be asked, as last said here.
CREATE TABLE preference (
    person_id     text PRIMARY KEY,
    revision      int NOT NULL CHECK (revision > 0),
    never         boolean NOT NULL,
    most_per_year int,
    only_channel  text,
    changed_at    timestamptz NOT NULL
);

-- Answers that staff found to be about somebody else, with who said so and why.
CREATE TABLE relabelling (
    response_id uuid NOT NULL,
    revision    int NOT NULL,
    rated       text NOT NULL,
    member      text NOT NULL, -- who re-labelled it
    reason      text NOT NULL,
    done_at     timestamptz NOT NULL,
    PRIMARY KEY (response_id, revision)
);
