-- What is not settled yet, in narrow rows of its own. A request's wide row then changes nothing that an index holds
-- while it is sent, so that no change of it is written to all of its indexes again.

CREATE TABLE open_send (
    invitation_id uuid PRIMARY KEY,
    channel       text NOT NULL,
    state         text NOT NULL,
    at            timestamptz NOT NULL -- planned: when due; claimed, calling: end of the lease; in_doubt: when called
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
-- Each channel has its own turn, so that one that waits for its cap holds back no other.
CREATE INDEX open_send_due ON open_send (channel, at) WHERE state = 'planned';
CREATE INDEX open_send_leased ON open_send (at) WHERE state IN ('claimed', 'calling');
CREATE INDEX open_send_in_doubt ON open_send (at) WHERE state = 'in_doubt';

DROP INDEX invitation_due;
DROP INDEX invitation_leased;
DROP INDEX invitation_in_doubt;
-- Room on each page for the next version of its rows.
ALTER TABLE invitation SET (fillfactor = 50);

CREATE FUNCTION open_since(state text, due_at timestamptz, lease_until timestamptz, called_at timestamptz)
RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN state = 'planned' THEN due_at
                WHEN state IN ('claimed', 'calling') THEN coalesce(lease_until, 'infinity')
                WHEN state = 'in_doubt' THEN coalesce(called_at, due_at) END
$$;

-- No plan of these may read the whole table, however small it was when PostgreSQL made the plan.
CREATE OR REPLACE FUNCTION count_new_invitations() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO ledger_change (state, n) SELECT state, count(*) FROM made WHERE kind = 'ask' GROUP BY state;
    INSERT INTO open_send (invitation_id, channel, state, at)
    SELECT m.invitation_id, m.channel, m.state, open_since(m.state, m.due_at, m.lease_until, m.called_at)
    FROM made AS m WHERE m.state IN ('planned', 'claimed', 'calling', 'in_doubt');
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_moved_invitations() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO ledger_change (state, reason, n)
    SELECT state, reason, sum(n) FROM (
        SELECT state, CASE WHEN state = 'withheld' THEN reason ELSE '' END AS reason, 1 AS n FROM after WHERE kind = 'ask'
        UNION ALL
        SELECT state, CASE WHEN state = 'withheld' THEN reason ELSE '' END, -1 FROM before WHERE kind = 'ask'
    ) AS moves GROUP BY state, reason HAVING sum(n) <> 0;
    DELETE FROM open_send WHERE invitation_id = ANY (ARRAY(
        SELECT a.invitation_id FROM after AS a WHERE a.state NOT IN ('planned', 'claimed', 'calling', 'in_doubt')));
    INSERT INTO open_send AS o (invitation_id, channel, state, at)
    SELECT a.invitation_id, a.channel, a.state, open_since(a.state, a.due_at, a.lease_until, a.called_at)
    FROM after AS a WHERE a.state IN ('planned', 'claimed', 'calling', 'in_doubt')
    ON CONFLICT (invitation_id) DO UPDATE SET channel = excluded.channel, state = excluded.state, at = excluded.at
    WHERE (o.channel, o.state, o.at) IS DISTINCT FROM (excluded.channel, excluded.state, excluded.at);
    RETURN NULL;
END $$;

INSERT INTO open_send (invitation_id, channel, state, at)
SELECT i.invitation_id, i.channel, i.state, open_since(i.state, i.due_at, i.lease_until, i.called_at)
FROM invitation AS i WHERE i.state IN ('planned', 'claimed', 'calling', 'in_doubt');
