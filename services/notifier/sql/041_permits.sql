-- Permits are taken in a transaction of their own, so that no process waits for another's claim: its rows, its
-- commit, its processor.

-- How many more calls may begin on a channel: so many at most, so many in any minute. Seconds begin and end apart from
-- minutes, and a call leaves up to two seconds after its permit: 63 buckets.
CREATE FUNCTION free_permits(of_channel text, wanted int, cap int, at_second bigint)
RETURNS int LANGUAGE sql STABLE AS $$
    SELECT greatest(0, least(wanted, cap - coalesce(sum(s.n), 0)))::int
    FROM send_second AS s WHERE s.channel = of_channel AND s.second > at_second - 63
$$;

-- For each channel that has calls to make and may: how many, and the second in which they are counted. To be called
-- outside of any transaction. Nothing of it need be on disk before the claim that uses it is, and that comes later in the
-- same log.
CREATE FUNCTION take_permits(kinds text[], wanted int[], cap int)
RETURNS TABLE (channel text, n int, second bigint) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    this_second bigint := floor(extract(epoch FROM clock_timestamp()));
    due int[];
BEGIN
    IF NOT coalesce((SELECT is_on FROM switch WHERE name = 'sending'), false) THEN
        RETURN;
    END IF;
    -- Before the lock: who has nothing to send, or would get nothing, waits for nobody.
    due := ARRAY(
        SELECT (SELECT count(*) FROM (
                    SELECT FROM open_send AS o
                    WHERE o.state = 'planned' AND o.channel = k.channel AND o.at <= statement_timestamp()
                    LIMIT free_permits(k.channel, k.n, cap, this_second)) AS d)
        FROM unnest(kinds, wanted) WITH ORDINALITY AS k (channel, n, place) ORDER BY k.place
    );
    IF 0 = ALL (due) THEN
        RETURN;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM pg_advisory_xact_lock(hashtext('kvittera send caps')); -- the version before takes it too
    this_second := floor(extract(epoch FROM clock_timestamp()));
    RETURN QUERY
    WITH taken AS (
        SELECT k.channel, free_permits(k.channel, k.n, cap, this_second) AS n FROM unnest(kinds, due) AS k (channel, n)
    ), hours AS (
        INSERT INTO send_hour AS h (channel, hour, n) SELECT channel, this_second / 3600, n FROM taken WHERE n > 0
        ON CONFLICT (channel, hour) DO UPDATE SET n = h.n + excluded.n
    ), seconds AS (
        INSERT INTO send_second AS s (channel, second, n) SELECT channel, this_second, n FROM taken WHERE n > 0
        ON CONFLICT (channel, second) DO UPDATE SET n = s.n + excluded.n
    )
    SELECT channel, n, this_second FROM taken WHERE n > 0;
END $$;

-- What was taken in a second and not used, so that others may.
CREATE FUNCTION give_permits_back(kinds text[], unused int[], taken_in bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM pg_advisory_xact_lock(hashtext('kvittera send caps'));
    UPDATE send_second AS s SET n = s.n - u.n
    FROM unnest(kinds, unused) AS u (channel, n) WHERE s.channel = u.channel AND s.second = taken_in;
    UPDATE send_hour AS h SET n = h.n - u.n
    FROM unnest(kinds, unused) AS u (channel, n) WHERE h.channel = u.channel AND h.hour = taken_in / 3600;
END $$;
