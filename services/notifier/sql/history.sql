-- name: drops_asked
SELECT drop_id FROM invitation WHERE drop_id = ANY($1::text[]) AND kind = 'ask'

-- name: lock_stops
-- Whoever decides about a parcel of the same drop ($1) or order ($2) waits here, and then sees what was planned. Always in
-- one order. Another shop's order of that number only waits a little longer.
SELECT pg_advisory_xact_lock(hashtextextended(s, 0))
FROM (SELECT 'kvittera drop ' || d AS s FROM unnest($1::text[]) AS d
      UNION
      SELECT 'kvittera order ' || o FROM unnest($2::text[]) AS o
      ORDER BY s) AS ordered

-- name: orders_asked
-- LIMIT: a look at the index for each order, and at the message of those alone that have its number.
SELECT o.merchant_id, o.order_id
FROM unnest($1::text[], $2::text[]) AS o (merchant_id, order_id)
CROSS JOIN LATERAL (
    SELECT FROM invitation AS i
    WHERE i.order_id = o.order_id AND i.kind = 'ask' AND i.state NOT IN ('withheld', 'refused')
      AND i.message -> 'delivery' ->> 'merchant_id' IS NOT DISTINCT FROM o.merchant_id
    LIMIT 1
) AS i

-- name: contacts
-- OFFSET 0: a look at the index for each person. Without statistics yet, all that was ever sent was read for a batch.
SELECT c.*
FROM unnest($1::bytea[]) AS p (person) CROSS JOIN LATERAL (
    SELECT i.person, coalesce(i.called_at, i.due_at) AS at, i.channel,
           i.message -> 'delivery' ->> 'merchant_id' AS merchant_id
    FROM invitation AS i
    WHERE i.person = p.person AND i.state NOT IN ('withheld', 'refused')
      AND coalesce(i.called_at, i.due_at) > clock_timestamp() - interval '365 days'
    OFFSET 0
) AS c

-- name: preferences
SELECT person, never, most_per_year, only_channel FROM preference WHERE person = ANY($1::bytea[])

-- name: open_disruptions
-- A disruption that has ended still touches the deliveries of its time while these are decided.
SELECT message FROM disruption
WHERE state IN ('planned', 'active') AND (ends_at IS NULL OR ends_at > clock_timestamp() - interval '30 days')
