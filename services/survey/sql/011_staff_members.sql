-- Who signed in lately and may work where, so that a case can be given to somebody who owns none yet.

CREATE TABLE staff_member (
    subject text PRIMARY KEY,
    name    text NOT NULL,
    roles   json NOT NULL,        -- a number by terminal, as at the last sign-in
    seen_at timestamptz NOT NULL
);
