-- Follow-up cases: what answers call for, until a person has dealt with it.

CREATE TABLE feedback_case (
    case_id           uuid PRIMARY KEY,
    serial            bigint GENERATED ALWAYS AS IDENTITY UNIQUE, -- the case number is made from it
    revision          bigint NOT NULL CHECK (revision > 0),
    response_id       text NOT NULL UNIQUE, -- one response never has two cases
    response_revision bigint NOT NULL,      -- the latest revision of the answer that the case knows
    state             text NOT NULL CHECK (state IN ('open', 'contacted', 'waiting', 'resolved', 'reopened')),
    opened_because    text[] NOT NULL,
    desk              text NOT NULL,        -- the terminal that reads the case; empty: no terminal, read centrally
    occurred_on       date NOT NULL,        -- the day of the delivery at its place
    score             smallint CHECK (score BETWEEN 1 AND 5),
    reasons           text[] NOT NULL,
    commented         boolean NOT NULL,
    wants_contact     boolean NOT NULL,
    contested         boolean NOT NULL,
    language          text,
    owner             text,                 -- the member's subject at the sign-in provider
    owner_name        text,
    cause             text,
    attribution       text,
    place             text,
    controllable      boolean,
    outcome_sealed    bytea,                -- staff's own words to the person
    outcome_told      boolean NOT NULL DEFAULT false,
    opened_at         timestamptz NOT NULL,
    first_due_at      timestamptz NOT NULL,
    due_at            timestamptz,          -- the clock that runs; none once a human has reached out
    contacted_at      timestamptz,
    resolved_at       timestamptz,
    changed_at        timestamptz NOT NULL,
    delivery          json NOT NULL,
    traceparent       text
);
CREATE INDEX feedback_case_at_work ON feedback_case (due_at) WHERE state <> 'resolved';
CREATE INDEX feedback_case_changed ON feedback_case (changed_at);
CREATE INDEX feedback_case_same_day ON feedback_case (desk, occurred_on);

-- Append only, but for the words of staff that go when the person's data are erased.
CREATE TABLE case_entry (
    entry_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id     uuid NOT NULL REFERENCES feedback_case,
    revision    bigint NOT NULL,
    what        text NOT NULL,
    by_subject  text, -- none: the recipient, or a rule
    by_name     text,
    happened_at timestamptz NOT NULL,
    detail      text, -- names no recipient
    note_sealed bytea
);
CREATE INDEX case_entry_of_case ON case_entry (case_id, entry_id);
