-- Sign-ins that ended before their time, as the survey tells of them: a copy of their cookie opens no page here.

CREATE TABLE sign_out (
    sign_out_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject     text NOT NULL,        -- the member's pseudonym
    session     text,                 -- which sign-in; none: all that began before
    ended_at    timestamptz NOT NULL
);
CREATE INDEX sign_out_ended ON sign_out (ended_at);
