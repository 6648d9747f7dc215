-- Alarms of the change detection, marked interventions, closed months, and digests that were taken care of.

-- One row for each alarm that was told; it is never taken back.
CREATE TABLE alert (
    alert_id   uuid PRIMARY KEY,
    cut        text NOT NULL,
    value      text NOT NULL,
    day        int NOT NULL,  -- days since 1970-01-01 on the clock of the deliveries
    since      int NOT NULL,  -- the first day of the stretch that signals
    message    jsonb NOT NULL, -- as satisfaction.alert.v1 told it
    raised_at  timestamptz NOT NULL,
    UNIQUE (cut, value, day)
);

-- What was changed where and when, so that before and after can be compared.
CREATE TABLE intervention (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what       text NOT NULL,
    cut        text NOT NULL,
    value      text NOT NULL,
    starts_on  date NOT NULL,
    compare_to text[] NOT NULL, -- other values of the cut; empty: all others
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (what, cut, value, starts_on)
);

-- A closed month: revision 1 closes it, a higher one corrects it and says why. Rows only ever come.
CREATE TABLE closed_month (
    month     int NOT NULL,  -- months since 1970-01
    revision  int NOT NULL CHECK (revision > 0),
    reason    text NOT NULL,
    closed_at timestamptz NOT NULL,
    PRIMARY KEY (month, revision)
);

CREATE TABLE closed_cell (
    month      int NOT NULL,
    revision   int NOT NULL,
    cut        text NOT NULL,
    value      text NOT NULL,
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
    contested  int NOT NULL,
    PRIMARY KEY (month, revision, cut, value),
    FOREIGN KEY (month, revision) REFERENCES closed_month
);

CREATE FUNCTION stay_as_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closed month never changes: revise it' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER closed_month_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON closed_month
FOR EACH STATEMENT EXECUTE FUNCTION stay_as_closed();

CREATE TRIGGER closed_cell_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON closed_cell
FOR EACH STATEMENT EXECUTE FUNCTION stay_as_closed();

-- Who has taken care of a day's digest; the first one holds.
CREATE TABLE digest_taken_care (
    cut   text NOT NULL,
    value text NOT NULL,
    day   date NOT NULL,
    who   text NOT NULL, -- the name a member of staff signs in with
    note  text NOT NULL,
    at    timestamptz NOT NULL,
    PRIMARY KEY (cut, value, day)
);
