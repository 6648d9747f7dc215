-- Reports of providers by month: an old month is dropped as a whole. What was kept until now is the first partition as it
-- stands, with its key, so nothing is copied and the version before goes on writing.
-- A repeated report is found under the lock on its invitation, since no key of the whole table can leave out the month.

ALTER TABLE receipt RENAME TO receipt_before;
CREATE TABLE receipt (LIKE receipt_before INCLUDING DEFAULTS) PARTITION BY RANGE (received_at);
CREATE INDEX receipt_of_invitation ON receipt (invitation_id);

DO $$
DECLARE
    month timestamp := date_trunc('month', greatest(now(), (SELECT max(received_at) FROM receipt_before)) AT TIME ZONE 'UTC')
                       + interval '1 month';
BEGIN
    EXECUTE format('ALTER TABLE receipt ATTACH PARTITION receipt_before FOR VALUES FROM (MINVALUE) TO (%L)',
                   month AT TIME ZONE 'UTC');
    -- Until the new version runs, which makes the next ones.
    FOR n IN 0..1 LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF receipt FOR VALUES FROM (%L) TO (%L)',
                       'receipt_' || to_char(month, 'YYYY_MM'), month AT TIME ZONE 'UTC',
                       (month + interval '1 month') AT TIME ZONE 'UTC');
        month := month + interval '1 month';
    END LOOP;
END $$;
