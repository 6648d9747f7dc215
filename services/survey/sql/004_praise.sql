-- Praise: who was praised, whether it was passed on, and what may hang on a terminal's board. No comment
-- text stands here; it stays sealed with the answer.

CREATE TABLE praise (
    praise_id         uuid PRIMARY KEY, -- the response's id: one praise for each response
    revision          int NOT NULL CHECK (revision > 0),
    response_revision int NOT NULL,
    state             text NOT NULL
        CHECK (state IN ('waiting', 'passed_on', 'on_board', 'disputed', 'declined', 'withdrawn')),
    score             smallint NOT NULL CHECK (score BETWEEN 1 AND 5),
    reasons           text[] NOT NULL,
    comment_digest    bytea,            -- of the sealed comment that staff judge; another digest is another comment
    masks             int[] NOT NULL DEFAULT '{}', -- numbers of words that staff masked too
    carrier           text NOT NULL,
    terminal          text,
    route             text,
    driver            text,
    service_point     text,
    method            text NOT NULL,
    country           text NOT NULL,
    zone              text NOT NULL,
    occurred_at       timestamptz NOT NULL,
    praised_at        timestamptz NOT NULL,
    pass_on_by        timestamptz NOT NULL,
    passed_on_at      timestamptz,
    owner             text,             -- the member of staff who last took it up
    owner_name        text
);
CREATE INDEX praise_waiting ON praise (terminal, pass_on_by) WHERE state IN ('waiting', 'disputed');
CREATE INDEX praise_of_terminal ON praise (terminal, praised_at);
CREATE INDEX praise_of_driver ON praise (driver) WHERE driver IS NOT NULL;

CREATE TABLE praise_event (
    event_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    praise_id   uuid NOT NULL REFERENCES praise ON DELETE CASCADE,
    at          timestamptz NOT NULL,
    what        text NOT NULL,
    member      text,  -- none: the recipient or the rule did it
    member_name text,
    note_sealed bytea  -- evidence of a dispute
);
CREATE INDEX praise_event_of ON praise_event (praise_id, event_id);

-- A driver is a sign and a colour at each terminal; which one follows from the number.
CREATE TABLE driver_sign (
    terminal text NOT NULL,
    driver   text NOT NULL,
    number   int NOT NULL CHECK (number >= 0),
    PRIMARY KEY (terminal, driver),
    UNIQUE (terminal, number)
);

CREATE TABLE driver_opt_out (
    driver text PRIMARY KEY,
    since  timestamptz NOT NULL,
    member text NOT NULL
);

-- Boards: a screen cannot sign in, so its address holds a key. Only the key's hash is kept.
CREATE TABLE board (
    key_sha256 bytea PRIMARY KEY,
    terminal   text NOT NULL,
    title      text NOT NULL,
    language   text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz
);
CREATE INDEX board_of_terminal ON board (terminal);
