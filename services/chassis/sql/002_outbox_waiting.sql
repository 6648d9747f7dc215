-- What Kafka does not have yet, in narrow rows of its own: an outbox row is written once and never again, where a mark in
-- it copied the row, value and all. Whoever writes an outbox row need not know: a trigger lets it wait, also for a
-- version before that runs beside.

CREATE TABLE outbox_waiting (
    id       bigint   NOT NULL,
    key_hash int,               -- of the row's key, for those who ask whether anything of a key waits
    shard    smallint NOT NULL,
    PRIMARY KEY (shard, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE FUNCTION let_outbox_rows_wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox_waiting (id, key_hash, shard) SELECT id, hashbytea(key), shard FROM added;
    RETURN NULL;
END $$;
-- From here on nobody writes until this file is done, so that no row falls between the trigger and the copy below.
CREATE TRIGGER let_outbox_rows_wait AFTER INSERT ON outbox REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION let_outbox_rows_wait();

-- Only for the version before: its relay marks rows, its `kvittera republish` takes the mark away.
CREATE FUNCTION follow_outbox_mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.published_at IS NULL THEN
        INSERT INTO outbox_waiting (id, key_hash, shard) VALUES (NEW.id, hashbytea(NEW.key), NEW.shard)
        ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM outbox_waiting WHERE shard = NEW.shard AND id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER follow_outbox_mark AFTER UPDATE OF published_at ON outbox
FOR EACH ROW EXECUTE FUNCTION follow_outbox_mark();

INSERT INTO outbox_waiting (id, key_hash, shard)
SELECT id, hashbytea(key), shard FROM outbox WHERE published_at IS NULL;
DROP INDEX outbox_unpublished;
