-- Views of contact data by month: an old month is dropped as a whole. What was kept until now is the first partition as it
-- stands, so nothing is copied and the version before goes on writing.

ALTER TABLE contact_view RENAME TO contact_view_before;
ALTER TABLE contact_view_before ALTER COLUMN view_id DROP IDENTITY;
CREATE TABLE contact_view (LIKE contact_view_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (viewed_at);
ALTER TABLE contact_view ALTER COLUMN view_id ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('contact_view', 'view_id'), coalesce(max(view_id), 0) + 1, false) FROM contact_view_before;
CREATE INDEX contact_view_of_response ON contact_view (response_id, viewed_at);
CREATE INDEX contact_view_at ON contact_view (viewed_at);

DO $$
DECLARE
    month timestamp := date_trunc('month', greatest(now(), (SELECT max(viewed_at) FROM contact_view_before)) AT TIME ZONE 'UTC')
                       + interval '1 month';
BEGIN
    EXECUTE format('ALTER TABLE contact_view ATTACH PARTITION contact_view_before FOR VALUES FROM (MINVALUE) TO (%L)',
                   month AT TIME ZONE 'UTC');
    -- Until the new version runs, which makes the next ones.
    FOR n IN 0..1 LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF contact_view FOR VALUES FROM (%L) TO (%L)',
                       'contact_view_' || to_char(month, 'YYYY_MM'), month AT TIME ZONE 'UTC',
                       (month + interval '1 month') AT TIME ZONE 'UTC');
        month := month + interval '1 month';
    END LOOP;
END $$;
