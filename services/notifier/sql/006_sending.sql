-- How much may leave, what has left lately, and the ledger counted as it changes.

ALTER TABLE switch ADD COLUMN reason text; -- who or what turned it, in a word

-- Calls begun in each second, by channel: the caps of the last minute are sums of it.
CREATE TABLE send_second (
    channel text NOT NULL,
    second  bigint NOT NULL, -- seconds since 1970, by this database's clock
    n       int NOT NULL,
    PRIMARY KEY (channel, second)
);

CREATE TABLE send_hour (
    channel text NOT NULL,
    hour    bigint NOT NULL,
    n       int NOT NULL,
    PRIMARY KEY (channel, hour)
);

-- An order is asked about once.
CREATE INDEX invitation_order ON invitation ((message -> 'delivery' ->> 'order_id')) WHERE kind = 'ask';

-- The ledger: what every statement changed, folded into totals now and then. Appending meets nobody's lock.
CREATE TABLE ledger_total (
    state  text NOT NULL,
    reason text NOT NULL DEFAULT '',
    n      bigint NOT NULL,
    PRIMARY KEY (state, reason)
);
CREATE TABLE ledger_change (
    state  text NOT NULL,
    reason text NOT NULL DEFAULT '',
    n      bigint NOT NULL
);

CREATE FUNCTION count_decisions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger_change (state, reason, n)
    SELECT 'delivered', '', count(*) FROM made WHERE kind = 'ask' HAVING count(*) > 0
    UNION ALL
    SELECT 'suppressed', reason, count(*) FROM made WHERE kind = 'ask' AND outcome = 'suppressed' GROUP BY reason;
    RETURN NULL;
END $$;

CREATE FUNCTION count_new_invitations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger_change (state, n) SELECT state, count(*) FROM made WHERE kind = 'ask' GROUP BY state;
    RETURN NULL;
END $$;

CREATE FUNCTION count_moved_invitations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger_change (state, reason, n)
    SELECT state, reason, sum(n) FROM (
        SELECT state, CASE WHEN state = 'withheld' THEN reason ELSE '' END AS reason, 1 AS n FROM after WHERE kind = 'ask'
        UNION ALL
        SELECT state, CASE WHEN state = 'withheld' THEN reason ELSE '' END, -1 FROM before WHERE kind = 'ask'
    ) AS moves GROUP BY state, reason HAVING sum(n) <> 0;
    RETURN NULL;
END $$;

CREATE TRIGGER count_decisions AFTER INSERT ON decision
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION count_decisions();
CREATE TRIGGER count_new_invitations AFTER INSERT ON invitation
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION count_new_invitations();
CREATE TRIGGER count_moved_invitations AFTER UPDATE ON invitation
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_moved_invitations();

INSERT INTO ledger_total (state, reason, n)
SELECT 'delivered', '', count(*) FROM decision WHERE kind = 'ask' HAVING count(*) > 0
UNION ALL
SELECT 'suppressed', reason, count(*) FROM decision WHERE kind = 'ask' AND outcome = 'suppressed' GROUP BY reason
UNION ALL
SELECT state, CASE WHEN state = 'withheld' THEN reason ELSE '' END, count(*) FROM invitation WHERE kind = 'ask' GROUP BY 1, 2;
