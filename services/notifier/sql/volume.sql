-- name: pause_when_too_many
-- Far more than ever before in an hour, or since it was switched on, is a fault until a person has looked (H55).
WITH now AS (SELECT floor(extract(epoch FROM clock_timestamp()))::bigint AS second),
lately AS (
    SELECT s.channel, sum(s.n) AS n FROM send_second AS s, now, switch AS w
    WHERE w.name = 'sending' AND s.second > greatest(now.second - 3600, extract(epoch FROM w.changed_at)::bigint)
    GROUP BY s.channel
), usual AS (
    SELECT h.channel, max(h.n) AS n FROM send_hour AS h, now
    WHERE h.hour < now.second / 3600 AND h.hour >= now.second / 3600 - 28 * 24 GROUP BY h.channel
)
UPDATE switch SET is_on = false, changed_at = clock_timestamp(), reason = 'volume'
FROM (SELECT l.channel, l.n, greatest($1, 3 * coalesce(u.n, 0)) AS most
      FROM lately AS l LEFT JOIN usual AS u USING (channel)) AS b
WHERE switch.name = 'sending' AND switch.is_on AND b.n > b.most
RETURNING b.channel, b.n::int AS n, b.most::int AS most

-- name: forget_old_calls
WITH hours AS (DELETE FROM send_hour WHERE hour < extract(epoch FROM clock_timestamp()) / 3600 - 30 * 24)
DELETE FROM send_second WHERE second < extract(epoch FROM clock_timestamp()) - 3700

-- name: switch
SELECT is_on, changed_at, reason FROM switch WHERE name = 'sending'

-- name: turn_switch
INSERT INTO switch AS s (name, is_on, changed_at, reason) VALUES ('sending', $1, clock_timestamp(), $2)
ON CONFLICT (name) DO UPDATE SET is_on = excluded.is_on, changed_at = excluded.changed_at, reason = excluded.reason

-- name: what_waits
SELECT count(*) FILTER (WHERE state = 'planned' AND at <= clock_timestamp()) AS due,
       count(*) FILTER (WHERE state = 'planned' AND at > clock_timestamp()) AS later,
       count(*) FILTER (WHERE state IN ('claimed', 'calling')) AS sending,
       count(*) FILTER (WHERE state = 'in_doubt') AS in_doubt
FROM open_send

-- name: count_due
-- Of each channel in the order of its index, so that what is planned for later is never looked at.
-- $2 most of a channel, $3 most of all.
SELECT count(*)::int FROM (
    SELECT FROM unnest($1::text[]) AS k (channel)
    CROSS JOIN LATERAL (
        SELECT FROM open_send AS o
        WHERE o.state = 'planned' AND o.channel = k.channel AND o.at <= statement_timestamp()
        LIMIT $2::int
    ) AS d
    WHERE (SELECT is_on FROM switch WHERE name = 'sending')
    LIMIT $3::int
) AS w

-- name: calls_in_the_last_minute
SELECT coalesce(sum(n), 0)::int FROM send_second
WHERE second > floor(extract(epoch FROM clock_timestamp()))::bigint - 60
