-- name: take_permits
SELECT channel, n, second FROM take_permits($1::text[], $2::int[], $3)

-- name: give_permits_back
SELECT give_permits_back($1::text[], $2::int[], $3)

-- name: lock_due
-- The person's row is locked too: two requests to one person are never judged at once (H56). Whoever comes
-- second skips them; what it reads next, in a statement of its own, knows what the first one did. A switch that is
-- missing counts as off.
SELECT p.invitation_id, p.channel, p.zone, p.country, p.attempts, statement_timestamp() AS now
FROM unnest($1::text[], $2::int[]) AS c (channel, most)
CROSS JOIN LATERAL (
    SELECT d.*
    FROM (SELECT o.invitation_id FROM open_send AS o
          WHERE o.state = 'planned' AND o.channel = c.channel AND o.at <= statement_timestamp()
          ORDER BY o.at
          -- What waits for Kafka or is in other hands is looked at in vain, and again by the next claim.
          LIMIT 4 * c.most + 1000) AS o
    CROSS JOIN LATERAL (
        SELECT i.invitation_id, i.person, i.channel, i.due_at, i.attempts,
               i.message -> 'delivery' ->> 'zone' AS zone, i.message -> 'delivery' ->> 'country' AS country
        FROM invitation AS i
        WHERE i.invitation_id = o.invitation_id AND i.state = 'planned' AND i.due_at <= statement_timestamp()
          -- Kafka first: a link must not reach a person before the survey can learn of it. OFFSET 0 keeps it a look
          -- at the index for each row. Another key of the same hash only makes it wait a little longer.
          AND NOT EXISTS (SELECT 1 FROM outbox_waiting
                          WHERE key_hash = hashbytea(convert_to(i.delivery_id, 'UTF8')) OFFSET 0)
        -- LIMIT: one row, where PostgreSQL would expect one of each month, and read all persons to join them.
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) AS d
    CROSS JOIN LATERAL (SELECT FROM person_key AS k WHERE k.person = d.person LIMIT 1 FOR UPDATE SKIP LOCKED) AS k
    LIMIT c.most
) AS p
WHERE (SELECT is_on FROM switch WHERE name = 'sending')
ORDER BY p.due_at

-- name: lock_any
-- Only to be rolled back: one that waits, due or not, whatever the switch says.
SELECT i.invitation_id, i.message -> 'delivery' ->> 'zone' AS zone, i.message -> 'delivery' ->> 'country' AS country,
       statement_timestamp() AS now
FROM (SELECT invitation_id FROM open_send WHERE state = 'planned' LIMIT 1) AS o
CROSS JOIN LATERAL (
    SELECT * FROM invitation WHERE invitation_id = o.invitation_id AND state = 'planned' LIMIT 1 FOR UPDATE SKIP LOCKED
) AS i

-- name: doubt_answered
-- Of requests that were tried before and are locked: who has answered by now has the message, whatever the provider or an
-- operator said of it. The sweep settles them.
UPDATE invitation AS i SET state = 'in_doubt', fence = i.fence + 1
FROM unnest($1::uuid[]) AS d (invitation_id)
WHERE i.invitation_id = d.invitation_id AND i.kind = 'ask'
  AND EXISTS (SELECT FROM answered AS a WHERE a.delivery_id = i.delivery_id OFFSET 0)
RETURNING i.invitation_id

-- name: facts_of
-- The facts of deliveries as they are known now, for requests that are locked.
SELECT i.invitation_id, i.kind, i.language,
       coalesce((SELECT c.facts FROM correction AS c WHERE c.delivery_id = i.delivery_id AND c.what = 'facts_corrected'),
                i.message -> 'delivery') AS facts
FROM unnest($1::uuid[]) AS d (invitation_id)
CROSS JOIN LATERAL (SELECT * FROM invitation AS i WHERE i.invitation_id = d.invitation_id LIMIT 1) AS i

-- name: claim
-- All that could have changed since the decision is read again here, under the row's lock (H56 to H58, H61a). What may
-- leave is `calling` from here on, and committed as such before its first byte leaves (guarantee 4). The reference is
-- the same at every attempt.
-- $1 the locked, $2 to $3 those held and until when, $4 lease, $5 most age, $6 age more for reminders,
-- $7 and $8 the carrier's budget (most, days), $9 and $10 the merchant's, $11 who may be reached (NULL: everybody),
-- $12 to $15 whose deliveries a disruption touches: which one, whether asking is paused, and what the message says of it.
WITH due AS (
    SELECT p.invitation_id, p.person, p.delivery_id, p.kind, p.channel, p.due_at, p.occurred_at,
           CASE WHEN $9::int IS NOT NULL THEN p.message -> 'delivery' ->> 'merchant_id' END AS merchant, h.until,
           n.corrected, tells_of_new_exception(n.told, n.corrected) AS late_damage,
           k.wrapped, k.erased_at, w.never, w.most_per_year, w.only_channel, u.until AS unreachable_until,
           s.paused, s.notice
    FROM unnest($1::uuid[]) AS c (invitation_id)
    CROSS JOIN LATERAL (SELECT * FROM invitation AS i WHERE i.invitation_id = c.invitation_id LIMIT 1) AS p
    JOIN person_key AS k ON k.person = p.person
    LEFT JOIN preference AS w ON w.person = p.person
    LEFT JOIN unreachable AS u ON u.person = p.person AND u.until > clock_timestamp()
    LEFT JOIN unnest($2::uuid[], $3::timestamptz[]) AS h (invitation_id, until) ON h.invitation_id = p.invitation_id
    LEFT JOIN unnest($12::uuid[], $13::text[], $14::boolean[], $15::text[]) AS s (invitation_id, disruption, paused, notice)
           ON s.invitation_id = p.invitation_id
    LEFT JOIN LATERAL (SELECT c.facts::jsonb AS facts FROM correction AS c
                       WHERE c.delivery_id = p.delivery_id AND c.what = 'facts_corrected' OFFSET 0) AS f ON true
    -- What was corrected while the request was in somebody's hands, or while it was being decided about, is not in its
    -- message yet; nor is it ever put into that of a reminder. The disruption that a delivery fell in is our mark.
    LEFT JOIN LATERAL (
        SELECT t.told, jsonb_strip_nulls(jsonb_build_object('disruption', t.told -> 'disruption'))
                       || coalesce(f.facts, t.told)
                       || jsonb_strip_nulls(jsonb_build_object('disruption', s.disruption)) AS corrected
        FROM (SELECT (p.message -> 'delivery')::jsonb AS told
              WHERE f.facts IS NOT NULL OR s.disruption IS NOT NULL OFFSET 0) AS t
    ) AS n ON n.corrected <> n.told
), stopped AS (
    SELECT c.delivery_id, min(c.what) AS reason FROM correction AS c
    WHERE c.delivery_id IN (SELECT delivery_id FROM due)
      AND (c.what IN ('returned', 'cancelled', 'not_delivered')
           OR c.what = 'claim_opened' AND NOT EXISTS (
               SELECT 1 FROM correction AS x
               WHERE x.delivery_id = c.delivery_id AND x.what = 'claim_closed' AND x.revision > c.revision))
    GROUP BY c.delivery_id
), judged AS (
    SELECT d.*,
           CASE
               WHEN d.person <> ALL($11::bytea[]) THEN 'not_on_allow_list'
               WHEN d.never THEN 'opted_out'
               WHEN d.erased_at >= d.occurred_at THEN 'erased'
               WHEN s.reason IS NOT NULL THEN s.reason
               WHEN d.late_damage THEN 'exception_open'
               WHEN a.contested THEN 'contested'
               WHEN d.kind = 'reminder' AND a.delivery_id IS NOT NULL THEN 'answered'
               WHEN d.paused THEN 'disruption_paused'
               WHEN d.occurred_at < clock_timestamp()
                    - make_interval(secs => $5 + CASE WHEN d.kind = 'reminder' THEN $6 ELSE 0 END) THEN 'too_old'
               WHEN link.closes <= coalesce(d.until, clock_timestamp()) THEN 'link_closed'
               WHEN d.only_channel <> d.channel THEN 'channel_not_wanted'
               WHEN d.unreachable_until IS NOT NULL THEN 'unreachable'
               WHEN used.year >= d.most_per_year THEN 'wished_less_often'
               WHEN used.carrier >= $7 THEN 'carrier_budget_spent'
               WHEN used.merchant >= $9 THEN 'merchant_budget_spent'
           END AS reason,
           row_number() OVER (PARTITION BY d.person ORDER BY d.due_at) AS turn,
           coalesce(d.most_per_year, $7, $9) IS NOT NULL AS counted,
           -- What was corrected is told first, and judged by its new facts in the next round.
           d.until IS NOT NULL OR d.corrected IS NOT NULL AS waits
    FROM due AS d
    LEFT JOIN stopped AS s ON s.delivery_id = d.delivery_id
    LEFT JOIN answered AS a ON a.delivery_id = d.delivery_id
    -- A reminder has the link of its request.
    LEFT JOIN LATERAL (SELECT (q.message ->> 'expires_at')::timestamptz AS closes FROM invitation AS q
                       WHERE d.kind = 'reminder' AND q.delivery_id = d.delivery_id AND q.kind = 'ask' LIMIT 1) AS link ON true
    LEFT JOIN LATERAL (
        SELECT count(*) AS year,
               count(*) FILTER (WHERE o.called_at > clock_timestamp() - make_interval(days => $8)) AS carrier,
               count(*) FILTER (WHERE o.called_at > clock_timestamp() - make_interval(days => $10)
                                AND o.message -> 'delivery' ->> 'merchant_id' = d.merchant) AS merchant
        FROM (SELECT coalesce(x.called_at, clock_timestamp()) AS called_at, x.message FROM invitation AS x
              WHERE coalesce(d.most_per_year, $7, $9) IS NOT NULL -- nothing is read where nothing is counted
                AND x.person = d.person AND x.state IN ('calling', 'accepted', 'in_doubt', 'unknown')) AS o
        WHERE o.called_at > clock_timestamp() - interval '365 days'
    ) AS used ON true
)
UPDATE invitation AS i
SET state = CASE WHEN d.reason IS NOT NULL THEN 'withheld' WHEN d.waits THEN 'planned' ELSE 'calling' END,
    called_at = CASE WHEN d.reason IS NULL AND NOT d.waits THEN clock_timestamp() ELSE i.called_at END,
    attempts = i.attempts + (d.reason IS NULL AND NOT d.waits)::int,
    reference = i.invitation_id::text,
    -- Why it waits stays with it: what a person has sent again is told apart when it leaves at last.
    reason = coalesce(d.reason, CASE WHEN d.waits THEN i.reason END),
    settled_at = CASE WHEN d.reason IS NOT NULL THEN clock_timestamp() END,
    sealed = CASE WHEN d.reason IS NOT NULL THEN NULL ELSE i.sealed END,
    revision = i.revision + (d.reason IS NOT NULL OR d.corrected IS NOT NULL)::int,
    due_at = CASE WHEN d.reason IS NULL AND d.corrected IS NULL THEN coalesce(d.until, i.due_at) ELSE i.due_at END,
    lease_until = clock_timestamp() + make_interval(secs => $4),
    fence = i.fence + 1,
    message = CASE WHEN d.corrected IS NULL THEN i.message
                   ELSE (jsonb_build_object('snapshot', i.message -> 'delivery') || i.message::jsonb
                         || jsonb_build_object('delivery', d.corrected))::json END,
    occurred_at = CASE WHEN d.corrected IS NULL THEN i.occurred_at ELSE (d.corrected ->> 'occurred_at')::timestamptz END,
    order_id = CASE WHEN d.corrected IS NULL THEN i.order_id ELSE d.corrected ->> 'order_id' END,
    drop_id = CASE WHEN d.corrected IS NULL THEN i.drop_id ELSE d.corrected ->> 'drop_id' END
FROM judged AS d
WHERE i.invitation_id = d.invitation_id
  -- One request to a person at a time where requests are counted; the next is judged in the next round.
  AND (d.turn = 1 OR NOT d.counted)
RETURNING i.invitation_id, i.delivery_id, i.kind, i.state, d.reason, i.fence, i.revision, i.channel, i.language,
          i.sealed, i.person, d.wrapped, i.message, i.occurred_at, i.attempts, i.traceparent, i.called_at,
          d.corrected IS NOT NULL AS corrected, d.notice, old.reason IS NOT DISTINCT FROM 'sent_again_by_operator' AS again
