-- name: keep_preferences
INSERT INTO preference AS p (person, never, most_per_year, only_channel, changed_at)
SELECT * FROM unnest($1::bytea[], $2::boolean[], $3::int[], $4::text[], $5::timestamptz[])
ON CONFLICT (person) DO UPDATE
SET never = excluded.never, most_per_year = excluded.most_per_year, only_channel = excluded.only_channel,
    changed_at = excluded.changed_at
WHERE (excluded.changed_at, excluded.never) > (p.changed_at, p.never)
RETURNING person, never

-- name: keep_disruptions
INSERT INTO disruption AS d (disruption_id, revision, state, starts_at, ends_at, message)
SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::json[])
ON CONFLICT (disruption_id) DO UPDATE
SET revision = excluded.revision, state = excluded.state, starts_at = excluded.starts_at,
    ends_at = excluded.ends_at, message = excluded.message
WHERE excluded.revision > d.revision

-- name: keep_corrections
INSERT INTO correction AS c (delivery_id, what, revision, facts)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::json[])
ON CONFLICT (delivery_id, what) DO UPDATE SET revision = excluded.revision, facts = excluded.facts
WHERE excluded.revision > c.revision

-- name: keep_answered
INSERT INTO answered AS a (delivery_id, contested)
SELECT * FROM unnest($1::text[], $2::boolean[])
ON CONFLICT (delivery_id) DO UPDATE SET contested = true WHERE excluded.contested AND NOT a.contested
RETURNING new.delivery_id, old.delivery_id IS NULL AS first

-- name: asked_at
-- When the calls that carried these requests were made. Others may name requests otherwise than we do.
SELECT a.named, i.called_at
FROM unnest($1::text[]) AS a (named)
JOIN invitation AS i ON i.invitation_id = CASE WHEN pg_input_is_valid(a.named, 'uuid') THEN a.named::uuid END
WHERE i.called_at IS NOT NULL

-- name: stopped
-- What stops a delivery's request for good. A claim that was closed again stops nothing.
SELECT c.delivery_id, min(c.what) AS reason FROM correction AS c
WHERE c.delivery_id = ANY($1::text[])
  AND (c.what IN ('returned', 'cancelled', 'not_delivered')
       OR c.what = 'claim_opened' AND NOT EXISTS (
           SELECT 1 FROM correction AS x
           WHERE x.delivery_id = c.delivery_id AND x.what = 'claim_closed' AND x.revision > c.revision))
GROUP BY c.delivery_id

-- name: corrected_facts
SELECT delivery_id, facts FROM correction WHERE delivery_id = ANY($1::text[]) AND what = 'facts_corrected'

-- name: newly_damaged
-- Whose requests or reminders on their way do not know of an exception that the corrected facts tell of; as the claim asks.
SELECT DISTINCT i.delivery_id
FROM unnest($1::text[], $2::json[]) AS f (delivery_id, facts)
JOIN invitation AS i ON i.delivery_id = f.delivery_id AND i.state IN ('planned', 'claimed')
 AND i.invitation_id >= (SELECT invitation_id FROM open_send ORDER BY invitation_id LIMIT 1)
WHERE tells_of_new_exception((i.message -> 'delivery')::jsonb, f.facts::jsonb)

-- name: withhold_persons
-- What can be withheld stands in open_send, so no month before its first id is looked at; also below.
UPDATE invitation
SET state = 'withheld', reason = 'opted_out', settled_at = clock_timestamp(), sealed = NULL,
    revision = revision + 1, fence = fence + 1
WHERE person = ANY($1::bytea[]) AND state IN ('planned', 'claimed')
  AND invitation_id >= (SELECT invitation_id FROM open_send ORDER BY invitation_id LIMIT 1)
RETURNING delivery_id, kind, revision, message, reason, traceparent

-- name: withhold_deliveries
-- Reminders only where $3 says so.
UPDATE invitation AS i
SET state = 'withheld', reason = w.reason, settled_at = clock_timestamp(), sealed = NULL,
    revision = i.revision + 1, fence = i.fence + 1
FROM unnest($1::text[], $2::text[], $3::boolean[]) AS w (delivery_id, reason, reminder_only)
WHERE i.delivery_id = w.delivery_id AND i.state IN ('planned', 'claimed')
  AND i.invitation_id >= (SELECT invitation_id FROM open_send ORDER BY invitation_id LIMIT 1)
  AND (NOT w.reminder_only OR i.kind = 'reminder')
RETURNING i.delivery_id, i.kind, i.revision, i.message, i.reason, i.traceparent

-- name: correct_planned
-- Requests that are planned now. What is in somebody's hands, and reminders, are corrected by the claim before they leave.
-- The disruption that a delivery fell in is our mark. `snapshot` keeps the facts of the decision: the first ones stay.
UPDATE invitation AS i
SET occurred_at = f.occurred_at, order_id = f.facts ->> 'order_id', drop_id = f.facts ->> 'drop_id',
    revision = i.revision + 1,
    message = jsonb_build_object('snapshot', i.message -> 'delivery') || i.message::jsonb
              || jsonb_build_object('delivery', jsonb_strip_nulls(
                     jsonb_build_object('disruption', i.message -> 'delivery' -> 'disruption')) || f.facts::jsonb)
FROM unnest($1::text[], $2::timestamptz[], $3::json[]) AS f (delivery_id, occurred_at, facts)
WHERE i.delivery_id = f.delivery_id AND i.state = 'planned' AND i.kind = 'ask'
  AND i.invitation_id >= (SELECT invitation_id FROM open_send ORDER BY invitation_id LIMIT 1)
  AND (i.message::jsonb -> 'delivery') - 'disruption' <> f.facts::jsonb - 'disruption'
RETURNING i.delivery_id, i.kind, i.revision, i.message, i.traceparent
