-- Requests by month of their id, first step: all that is kept now lies below a bound, which new rows keep to at once. Ids
-- of reminders lie up to 60 days ahead in the version before.

DO $$
DECLARE
    last uuid := (SELECT invitation_id FROM invitation ORDER BY invitation_id DESC LIMIT 1);
    month timestamp := date_trunc('month', greatest(now() + interval '62 days', uuid_extract_timestamp(last)) AT TIME ZONE 'UTC')
                       + interval '1 month';
    bound uuid := (lpad(to_hex((extract(epoch FROM month) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;
BEGIN
    IF last >= bound OR uuid_extract_timestamp(last) > now() + interval '1 year' THEN
        RAISE EXCEPTION 'notifier.invitation holds ids that do not begin with their moment, or of a year from now'
            USING HINT = 'Requests of a version from before the first release cannot be kept by months.';
    END IF;
    EXECUTE format('ALTER TABLE invitation ADD CONSTRAINT invitation_bound CHECK (invitation_id < %L) NOT VALID', bound);
END $$;

-- What was unique over all time is so by the decision and by locks from now on; no key of the whole table can leave out
-- the id. The same statements find their rows by these.
CREATE INDEX IF NOT EXISTS invitation_of_delivery ON invitation (delivery_id, kind);
CREATE INDEX IF NOT EXISTS invitation_of_drop ON invitation (drop_id) WHERE kind = 'ask' AND drop_id IS NOT NULL;

-- What is kept of months that go: how many requests for deliveries ended how.
CREATE TABLE month_sum (
    part     text NOT NULL,        -- the partition
    starts   timestamptz NOT NULL, -- the year 1 for the first one
    ends     timestamptz NOT NULL,
    state    text NOT NULL,
    reason   text NOT NULL,
    n        bigint NOT NULL,
    PRIMARY KEY (part, state, reason)
);
