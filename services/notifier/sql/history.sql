-- name: drops_asked
SELECT drop_id FROM invitation WHERE drop_id = ANY($1::text[]) AND kind = 'ask'

-- name: lock_orders
-- Whoever decides about a parcel of the same order waits here, and then sees what was planned. Always in one order.
SELECT pg_advisory_xact_lock(hashtextextended('kvittera order ' || o, 0))
FROM (SELECT DISTINCT o FROM unnest($1::text[]) AS o ORDER BY o) AS ordered

-- name: orders_asked
SELECT order_id FROM invitation
WHERE order_id = ANY($1::text[]) AND kind = 'ask' AND state NOT IN ('withheld', 'refused')

-- name: contacts
SELECT person, coalesce(called_at, due_at) AS at, channel, message -> 'delivery' ->> 'merchant_id' AS merchant_id
FROM invitation
WHERE person = ANY($1::bytea[]) AND state NOT IN ('withheld', 'refused')
  AND coalesce(called_at, due_at) > clock_timestamp() - interval '365 days'

-- name: preferences
SELECT person, never, most_per_year, only_channel FROM preference WHERE person = ANY($1::bytea[])

-- name: open_disruptions
-- A disruption that has ended still touches the deliveries of its time while these are decided.
SELECT message FROM disruption
WHERE state IN ('planned', 'active') AND (ends_at IS NULL OR ends_at > clock_timestamp() - interval '30 days')
