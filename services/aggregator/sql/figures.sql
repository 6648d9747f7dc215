-- name: lock_watch
SELECT pg_try_advisory_xact_lock(hashtextextended('aggregator alerts', 0))

-- name: dissatisfied_by_unit
-- Counters of every unit of a cut in the windows with base $2 from index $3 to $4. Of a cut that is still being built
-- only a part is counted.
SELECT u.value, (c.cell & 1073741823)::int AS index, c.s1 + c.s2 AS dissatisfied, c.s1 + c.s2 + c.s3 + c.s4 + c.s5 AS answers
FROM unit AS u
JOIN cell AS c ON c.cell BETWEEN (u.id::bigint << 32) + $2::bigint + $3::bigint
                             AND (u.id::bigint << 32) + $2::bigint + $4::bigint
WHERE u.cut = $1
  AND NOT EXISTS (SELECT FROM counted_cut AS b WHERE b.cut = u.cut AND b.state IN ('building', 'built'))
ORDER BY u.value, c.cell

-- name: told_alerts
SELECT value, day, since FROM alert WHERE cut = $1 AND day >= $2 AND since <= $3

-- name: judged_days
SELECT cut, day FROM judged_day

-- name: keep_judged
INSERT INTO judged_day AS j (cut, day) VALUES ($1, $2)
ON CONFLICT (cut) DO UPDATE SET day = greatest(j.day, excluded.day)

-- name: dissatisfied_responses
SELECT a.response_id::text FROM answer AS a
WHERE a.units @> ARRAY[(SELECT id FROM unit WHERE cut = $1 AND value = $2)]
  AND a.local_hour BETWEEN $3 AND $4 AND a.score <= 2 AND NOT a.contested AND a.series IS NULL
-- Words say what was wrong: they must not fall out where there are more.
ORDER BY a.commented DESC, a.local_hour DESC, a.response_id
LIMIT 100

-- name: keep_alert
WITH told AS (
    INSERT INTO alert (alert_id, cut, value, day, since, message, raised_at)
    VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7)
    ON CONFLICT DO NOTHING
    RETURNING alert_id
)
INSERT INTO outbox (shard, topic, key, value)
SELECT hashtext($8 || encode($9, 'hex')) & 3, $8, $9, $10::bytea FROM told

-- name: list_alerts
SELECT message::text FROM alert
WHERE ($1::text IS NULL OR cut = $1) AND ($2::text IS NULL OR value = $2) AND day BETWEEN $3 AND $4
ORDER BY raised_at DESC, alert_id
LIMIT $5

-- name: add_intervention
INSERT INTO intervention (what, cut, value, starts_on, compare_to) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING id

-- name: list_interventions
SELECT id, what, cut, value, starts_on, compare_to FROM intervention
WHERE ($1::text IS NULL OR cut = $1) AND ($2::text IS NULL OR value = $2)
ORDER BY starts_on DESC, id

-- name: satisfied_around
-- Satisfied and all answers of the units of a cut between two days.
SELECT u.value, sum(c.s4 + c.s5)::bigint AS satisfied, sum(c.s1 + c.s2 + c.s3 + c.s4 + c.s5)::bigint AS answers
FROM unit AS u
JOIN cell AS c ON c.cell BETWEEN (u.id::bigint << 32) | (1::bigint << 30) | $2::bigint
                             AND (u.id::bigint << 32) | (1::bigint << 30) | $3::bigint
WHERE u.cut = $1
  AND NOT EXISTS (SELECT FROM counted_cut AS b WHERE b.cut = u.cut AND b.state IN ('building', 'built'))
GROUP BY u.value

-- name: lock_months
-- Sees no row and so fixes no snapshot: what whoever held it before has closed is seen by the next statement.
LOCK TABLE closed_month IN SHARE ROW EXCLUSIVE MODE

-- name: revisions_of_month
SELECT revision FROM closed_month WHERE month = $1 ORDER BY revision DESC LIMIT 1

-- name: close_month
-- The version in use when the month began anywhere, a day before it does in UTC, and every later one.
INSERT INTO closed_month (month, revision, reason, closed_at, zone_data)
SELECT $1, $2, $3, $4, nullif(ARRAY(
    SELECT DISTINCT z.version FROM zone_data AS z
    WHERE z.since >= coalesce(
        (SELECT max(b.since) FROM zone_data AS b
         WHERE b.since <= make_timestamptz(1970 + $1 / 12, $1 % 12 + 1, 1, 0, 0, 0, 'UTC') - interval '1 day'),
        '-infinity')
    ORDER BY z.version), '{}')

-- name: close_cells
-- A cut that is still being built lacks what was counted before.
INSERT INTO closed_cell
SELECT $1, $2, u.cut, u.value, c.s1, c.s2, c.s3, c.s4, c.s5, c.delivered, c.asked, c.suppressed, c.pending, c.failed,
       c.commented, c.contested, c.reached, c.opened
FROM unit AS u JOIN cell AS c ON c.cell = (u.id::bigint << 32) | (2::bigint << 30) | $1::int::bigint
WHERE NOT EXISTS (SELECT FROM counted_cut AS b WHERE b.cut = u.cut AND b.state IN ('building', 'built'))

-- name: close_positions
INSERT INTO closed_position (month, revision, topic, part, cluster_id, topic_id, next)
SELECT $1, $2, topic, part, cluster_id, topic_id, next FROM progress WHERE topic = ANY($3::text[])

-- name: close_cuts
INSERT INTO closed_cut (month, revision, cut, windows)
SELECT $1, $2, cut, windows FROM counted_cut WHERE state IN ('counted', 'leaving')

-- name: months_counted
SELECT DISTINCT (c.cell & 1073741823)::int AS month
FROM unit AS u
JOIN cell AS c ON c.cell BETWEEN (u.id::bigint << 32) | (2::bigint << 30)
                             AND (u.id::bigint << 32) | (2::bigint << 30) | 1073741823
WHERE u.cut = 'total'
ORDER BY 1

-- name: closed_revisions
SELECT month, revision, reason, closed_at, zone_data FROM closed_month ORDER BY month, revision

-- name: closed_cells
SELECT cut, value, s1, s2, s3, s4, s5, delivered, asked, suppressed, pending, failed, commented, contested,
       reached, opened
FROM closed_cell WHERE month = $1 AND revision = $2 AND cut = $3 ORDER BY value

-- name: live_month_cells
SELECT u.cut, u.value, c.s1, c.s2, c.s3, c.s4, c.s5, c.delivered, c.asked, c.suppressed, c.pending, c.failed,
       c.commented, c.contested, c.reached, c.opened
FROM unit AS u JOIN cell AS c ON c.cell = (u.id::bigint << 32) | (2::bigint << 30) | $1::int::bigint
WHERE u.cut = $2
  AND NOT EXISTS (SELECT FROM counted_cut AS b WHERE b.cut = u.cut AND b.state IN ('building', 'built'))
ORDER BY u.value

-- name: cells_that_moved_since_closing
-- Only in cuts that were counted by month when the month was closed: what was not counted yet has not moved. Which they
-- were was not noted at first; then those that have a cell.
SELECT count(*) FROM unit AS u
JOIN cell AS c ON c.cell = (u.id::bigint << 32) | (2::bigint << 30) | $1::int::bigint
LEFT JOIN closed_cell AS k ON k.month = $1 AND k.revision = $2 AND k.cut = u.cut AND k.value = u.value
WHERE NOT EXISTS (SELECT FROM counted_cut AS b WHERE b.cut = u.cut AND b.state IN ('building', 'built'))
  AND u.cut IN (
      SELECT cut FROM closed_cut WHERE month = $1 AND revision = $2 AND windows & 4 <> 0
      UNION ALL
      SELECT cut FROM closed_cell WHERE month = $1 AND revision = $2
      AND NOT EXISTS (SELECT FROM closed_cut WHERE month = $1 AND revision = $2)
  )
  AND ((c.s1, c.s2, c.s3, c.s4, c.s5, c.delivered, c.asked, c.suppressed, c.pending, c.failed, c.commented, c.contested)
       IS DISTINCT FROM
       (k.s1, k.s2, k.s3, k.s4, k.s5, k.delivered, k.asked, k.suppressed, k.pending, k.failed, k.commented, k.contested)
       OR (c.reached, c.opened) IS DISTINCT FROM (coalesce(k.reached, c.reached), coalesce(k.opened, c.opened)))

-- name: take_care
INSERT INTO digest_taken_care (cut, value, day, who, note, at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING

-- name: taken_care
SELECT who, note, at FROM digest_taken_care WHERE cut = $1 AND value = $2 AND day = $3

-- name: day_counters
-- The counters of one unit on the days from $3 to $4, by day.
SELECT (c.cell & 1073741823)::int AS day, c.*
FROM unit AS u
JOIN cell AS c ON c.cell BETWEEN (u.id::bigint << 32) | (1::bigint << 30) | $3::bigint
                             AND (u.id::bigint << 32) | (1::bigint << 30) | $4::bigint
WHERE u.cut = $1 AND u.value = $2
  AND NOT EXISTS (SELECT FROM counted_cut AS b WHERE b.cut = u.cut AND b.state IN ('building', 'built'))
ORDER BY c.cell

-- name: suppressed_by_reason
-- Of the terminal whose name, with what joins values, is $1.
SELECT substr(u.value, length($1) + 1) AS reason, sum(c.suppressed)::bigint AS suppressed
FROM unit AS u
JOIN cell AS c ON c.cell BETWEEN (u.id::bigint << 32) + $2::bigint AND (u.id::bigint << 32) + $3::bigint
WHERE u.cut = 'terminal.reason' AND starts_with(u.value, $1)
  AND EXISTS (SELECT FROM counted_cut WHERE cut = u.cut AND state IN ('counted', 'leaving'))
GROUP BY u.value HAVING sum(c.suppressed) > 0

-- name: values_of_cut
-- The value itself where it is known, else those that somebody may have meant; none of a cut that is still being built.
WITH known AS NOT MATERIALIZED (
    SELECT value FROM unit AS u WHERE cut = $1
      AND NOT EXISTS (SELECT FROM counted_cut AS b WHERE b.cut = u.cut AND b.state IN ('building', 'built'))
)
SELECT value FROM known WHERE value = $2
UNION ALL
(SELECT value FROM known WHERE NOT EXISTS (SELECT FROM known WHERE value = $2) ORDER BY value LIMIT 10000)
