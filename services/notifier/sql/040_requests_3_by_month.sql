-- The table of before becomes the first partition as it stands. It reaches two months and more ahead; the service makes
-- the next ones.

ALTER TABLE invitation RENAME TO invitation_before;

DO $$
DECLARE
    bound text := (SELECT (regexp_match(pg_get_constraintdef(oid), '''([0-9a-f-]{36})'''))[1] FROM pg_constraint
                   WHERE conrelid = 'invitation_before'::regclass AND conname = 'invitation_bound');
BEGIN
    CREATE TABLE invitation (LIKE invitation_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (invitation_id))
    PARTITION BY RANGE (invitation_id);
    ALTER TABLE invitation DROP CONSTRAINT invitation_bound;
    EXECUTE format('ALTER TABLE invitation ATTACH PARTITION invitation_before FOR VALUES FROM (MINVALUE) TO (%L)', bound);
    ALTER TABLE invitation_before DROP CONSTRAINT invitation_bound;
    -- An index was unique over all time, and is dropped where it is not needed to find anything.
    ALTER TABLE invitation_before DROP CONSTRAINT invitation_delivery_id_kind_key;
    DROP INDEX invitation_drop, invitation_token;
END $$;

CREATE INDEX request_of_delivery ON invitation (delivery_id, kind);
CREATE INDEX request_of_drop ON invitation (drop_id) WHERE kind = 'ask' AND drop_id IS NOT NULL;
CREATE INDEX request_of_order ON invitation (order_id) WHERE kind = 'ask' AND order_id IS NOT NULL;
CREATE INDEX request_of_person ON invitation (person, occurred_at);

DROP TRIGGER count_new_invitations ON invitation_before;
DROP TRIGGER count_moved_invitations ON invitation_before;
CREATE TRIGGER count_new_invitations AFTER INSERT ON invitation
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION count_new_invitations();
CREATE TRIGGER count_moved_invitations AFTER UPDATE ON invitation
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_moved_invitations();

-- The sums of months that have gone. One that is still attached, since its detaching waits or failed, counts by its rows.
CREATE VIEW dropped_month AS
SELECT s.part, s.starts, s.ends, s.state, s.reason, s.n FROM month_sum AS s
WHERE NOT EXISTS (SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
                  WHERE i.inhparent = 'invitation'::regclass AND c.relname = s.part AND NOT i.inhdetachpending);
