-- name: keep_decisions
INSERT INTO decision (delivery_id, kind, decided_at, outcome, reason, matched, evidence, next_eligible_at)
SELECT delivery_id, 'ask', $2, outcome, reason, string_to_array(matched, ','), evidence, next_eligible_at
FROM unnest($1::text[], $3::text[], $4::text[], $5::text[], $6::json[], $7::timestamptz[])
     AS d (delivery_id, outcome, reason, matched, evidence, next_eligible_at)
ON CONFLICT (delivery_id, kind) DO NOTHING
RETURNING delivery_id

-- name: tell
INSERT INTO outbox (shard, topic, key, value, traceparent)
SELECT hashtext(key) & 3, $1, convert_to(key, 'UTF8'), value, traceparent
FROM unnest($2::text[], $3::bytea[], $4::text[]) AS e (key, value, traceparent)

-- name: settle
UPDATE invitation AS i
SET state = s.state,
    reason = s.reason,
    revision = s.revision,
    -- A permit that ran out before the call began is no attempt.
    attempts = i.attempts - (s.reason IS NOT DISTINCT FROM 'permit_expired')::int,
    due_at = CASE WHEN s.state = 'planned' THEN clock_timestamp() + make_interval(secs => s.again) ELSE i.due_at END,
    settled_at = CASE WHEN s.state IN ('accepted', 'refused', 'unknown') THEN clock_timestamp() END,
    sealed = CASE WHEN s.state IN ('accepted', 'refused', 'unknown') THEN NULL ELSE i.sealed END
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::int[], $6::float8[])
     AS s (invitation_id, fence, state, reason, revision, again)
WHERE i.invitation_id = s.invitation_id AND i.fence = s.fence AND i.state IN ('calling', 'in_doubt')
RETURNING i.invitation_id

-- name: release_expired_claims
-- Left by a version that claimed first and called then.
UPDATE invitation SET state = 'planned', fence = fence + 1
WHERE state = 'claimed' AND lease_until < clock_timestamp() AND invitation_id = ANY (ARRAY(
    SELECT invitation_id FROM open_send WHERE state IN ('claimed', 'calling') AND at < clock_timestamp()))

-- name: doubt_expired_calls
UPDATE invitation SET state = 'in_doubt', fence = fence + 1, revision = revision + (kind = 'ask')::int
WHERE state = 'calling' AND lease_until < clock_timestamp() AND invitation_id = ANY (ARRAY(
    SELECT invitation_id FROM open_send WHERE state IN ('claimed', 'calling') AND at < clock_timestamp()))
RETURNING invitation_id, delivery_id, kind, channel, revision, message, traceparent, called_at

-- name: in_doubt
-- What is known of comes first. Who answers has got the request; a reminder says nothing of itself that its request did not.
SELECT i.invitation_id, i.delivery_id, i.kind, i.state, i.fence, i.revision, i.attempts, i.channel, i.reference, i.message,
       i.traceparent, i.called_at, i.progress, a.answered,
       i.called_at < clock_timestamp() - make_interval(secs => $1) AS past_deadline
FROM invitation AS i
CROSS JOIN LATERAL (
    -- OFFSET 0: a look at the index for each, where PostgreSQL may choose to read all who answered.
    SELECT i.kind = 'ask' AND EXISTS (SELECT FROM answered WHERE delivery_id = i.delivery_id OFFSET 0) AS answered
) AS a
WHERE i.state = 'in_doubt' AND i.invitation_id = ANY (ARRAY(SELECT invitation_id FROM open_send WHERE state = 'in_doubt'))
ORDER BY i.progress IS NULL AND NOT a.answered, i.called_at LIMIT 500

-- name: ledger
SELECT (SELECT count(*) FROM decision WHERE kind = 'ask') AS delivered,
       (SELECT count(*) FROM decision WHERE kind = 'ask' AND outcome = 'suppressed')
         + coalesce(sum(n) FILTER (WHERE state = 'withheld'), 0)::bigint AS suppressed,
       coalesce(sum(n) FILTER (WHERE state = 'accepted'), 0)::bigint AS asked,
       coalesce(sum(n) FILTER (WHERE state IN ('planned', 'claimed', 'calling', 'in_doubt')), 0)::bigint AS pending,
       coalesce(sum(n) FILTER (WHERE state IN ('refused', 'unknown')), 0)::bigint AS failed,
       coalesce(sum(n) FILTER (WHERE state = 'in_doubt'), 0)::bigint AS in_doubt
FROM (SELECT state, count(*) AS n FROM invitation WHERE kind = 'ask' GROUP BY state
      UNION ALL
      SELECT state, n FROM dropped_month) AS requests

-- name: ledger_counted
-- The same from the totals and what changed since: no scan of the large tables. `checked` is the whole identity.
SELECT state, reason, sum(n)::bigint AS n FROM (
    SELECT state, reason, n FROM ledger_total UNION ALL SELECT state, reason, n FROM ledger_change
) AS l GROUP BY state, reason HAVING sum(n) <> 0

-- name: fold_ledger
WITH alone AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('kvittera fold ledger')) AS mine),
     gone AS (DELETE FROM ledger_change WHERE (SELECT mine FROM alone) RETURNING state, reason, n)
INSERT INTO ledger_total AS t (state, reason, n)
SELECT state, reason, sum(n) FROM gone GROUP BY state, reason
ON CONFLICT (state, reason) DO UPDATE SET n = t.n + excluded.n

-- name: decision_of
SELECT d.delivery_id, d.decided_at, d.outcome, d.reason, d.matched, d.evidence, i.state, i.channel, i.settled_at, i.progress
FROM decision AS d LEFT JOIN invitation AS i USING (delivery_id, kind)
WHERE d.delivery_id = $1 AND d.kind = 'ask'

-- name: person_of
SELECT person FROM invitation WHERE invitation_id = $1::text::uuid

-- name: keep_viewer_message
-- Fenced: a process that lost its lease cannot hand over any more.
INSERT INTO viewer_message (reference, channel, language, person, sealed)
SELECT $1::text, $2, $3, $4, $5
WHERE EXISTS (SELECT 1 FROM invitation
              WHERE invitation_id = $1::text::uuid AND state = 'calling' AND fence = $6 FOR SHARE)
ON CONFLICT (reference) DO NOTHING
RETURNING id

-- name: find_viewer_message
SELECT 1 FROM viewer_message WHERE reference = $1

-- name: viewer_messages_after
SELECT id, reference, channel, language, person, sealed, created_at
FROM viewer_message WHERE id > $1 AND sealed IS NOT NULL ORDER BY id LIMIT $2

-- name: latest_viewer_messages
SELECT id, reference, channel, language, person, sealed, created_at
FROM viewer_message WHERE sealed IS NOT NULL ORDER BY id DESC LIMIT $1
