-- name: follow
-- The share lock keeps `kvittera cuts` waiting until this batch is committed; later batches see what it changed.
SELECT version, minutes_from FROM counting FOR SHARE

-- name: try_to_follow
-- No row while a change of what is counted holds it.
SELECT one FROM counting FOR SHARE SKIP LOCKED

-- name: stored_cuts
SELECT cut, windows, next, state, since FROM counted_cut ORDER BY since, cut

-- name: try_lock_cuts
SELECT pg_try_advisory_xact_lock(hashtextextended('aggregator cuts', 0))

-- name: lock_cuts
SELECT pg_advisory_xact_lock(hashtextextended('aggregator cuts', 0))

-- name: add_cut
INSERT INTO counted_cut (cut, windows, state) VALUES ($1, $2, $3)

-- name: first_version
INSERT INTO counting (version, file_version) VALUES (1, $1)

-- name: file_versions
SELECT file_version, next_file_version FROM counting

-- name: take_file
-- The cuts are those that are counted; what was being built of another file is not wanted any more.
UPDATE counting SET file_version = $1, next_file_version = NULL

-- name: plan_file
UPDATE counting SET next_file_version = $1

-- name: switch_file
UPDATE counting SET file_version = coalesce(next_file_version, file_version), next_file_version = NULL

-- name: cuts_of_units
SELECT u.id, u.cut, coalesce(k.windows, CASE WHEN u.cut LIKE '-%' THEN 0 ELSE $2 END) AS windows
FROM unit AS u LEFT JOIN counted_cut AS k ON k.cut = u.cut WHERE u.id = ANY($1::int[])

-- name: move_minutes
-- Waits for the batches that are under way, so that none adds to a minute that is gone.
UPDATE counting SET minutes_from = $1 WHERE minutes_from < $1 RETURNING minutes_from

-- name: drop_minutes
DELETE FROM cell USING unit AS u JOIN counted_cut AS k ON k.cut = u.cut
WHERE k.windows & 32 <> 0
  AND cell BETWEEN (u.id::bigint << 32) + 3758096384 AND (u.id::bigint << 32) + 3758096384 + $1::bigint - 1
RETURNING cell

-- name: hold_counting
-- Waits for every batch under way; later ones wait for us, and then see what we changed.
SELECT version, minutes_from FROM counting FOR UPDATE

-- name: raise_version
UPDATE counting SET version = version + 1

-- name: plan_cut
INSERT INTO counted_cut (cut, windows, state) VALUES ($1, $2, 'building')

-- name: plan_windows
UPDATE counted_cut SET next = nullif($2, windows) WHERE cut = $1

-- name: learn_series
-- The units of a cut of series, beside those of the answers that are kept apart.
INSERT INTO unit (cut, value)
SELECT DISTINCT $1::text, CASE o.cut WHEN 'total' THEN a.series ELSE o.value || ' × ' || a.series END
FROM answer AS a CROSS JOIN LATERAL unnest(a.units) AS u (unit) JOIN unit AS o ON o.id = u.unit
WHERE a.series IS NOT NULL AND CASE o.cut WHEN 'total' THEN 'series' ELSE o.cut || '.series' END = $1
ON CONFLICT DO NOTHING

-- name: set_state
UPDATE counted_cut SET state = $2 WHERE cut = $1

-- name: partners_of_cuts
-- By merchant is told whose deliveries they are, whatever a partner's own cuts are.
SELECT partner FROM partner WHERE revoked_at IS NULL AND (cuts && $1::text[] OR 'merchant' = ANY($1::text[]))
ORDER BY partner

-- name: make_visited
CREATE UNLOGGED TABLE IF NOT EXISTS visited (key text PRIMARY KEY);
TRUNCATE visited

-- name: make_placed
CREATE TEMP TABLE IF NOT EXISTS placed (key text NOT NULL, units int[] NOT NULL) ON COMMIT DELETE ROWS

-- name: visit
INSERT INTO visited SELECT key FROM placed ON CONFLICT DO NOTHING

-- name: place_answers
-- Each row gets its units of the new cuts that it has no unit of yet: those counted since the build began have theirs.
UPDATE answer AS a SET units = a.units || ARRAY(
    SELECT n.id FROM unit AS n WHERE n.id = ANY(p.units)
    AND NOT EXISTS (SELECT FROM unit AS o WHERE o.id = ANY(a.units) AND o.cut = n.cut)
)
FROM placed AS p
WHERE a.response_id = ANY($1::uuid[]) AND p.key = a.response_id::text || CASE a.revision WHEN 0 THEN '+opened' ELSE '' END
  AND EXISTS (SELECT FROM unit AS n WHERE n.id = ANY(p.units)
              AND NOT EXISTS (SELECT FROM unit AS o WHERE o.id = ANY(a.units) AND o.cut = n.cut))
RETURNING a.score, a.commented, a.contested, a.series, a.local_hour, a.minute,
          new.units[cardinality(old.units) + 1:] AS units

-- name: place_decisions
UPDATE decision AS d SET units = d.units || ARRAY(
    SELECT n.id FROM unit AS n WHERE n.id = ANY(p.units)
    AND NOT EXISTS (SELECT FROM unit AS o WHERE o.id = ANY(d.units) AND o.cut = n.cut)
)
FROM placed AS p
WHERE p.key = d.kind || '/' || d.delivery_id AND d.delivery_id = ANY($1::text[])
  AND EXISTS (SELECT FROM unit AS n WHERE n.id = ANY(p.units)
              AND NOT EXISTS (SELECT FROM unit AS o WHERE o.id = ANY(d.units) AND o.cut = n.cut))
RETURNING d.outcome, d.local_hour, d.minute, new.units[cardinality(old.units) + 1:] AS units

-- name: make_unplaced
CREATE TEMP TABLE IF NOT EXISTS unplaced (key text NOT NULL);
TRUNCATE unplaced

-- name: note_unplaced
-- What was not met yet and lacks a unit of any of the new cuts. Few are not met: only those are looked at by unit.
INSERT INTO unplaced
WITH unmet AS MATERIALIZED (
    SELECT key, units FROM (
        SELECT response_id::text || CASE revision WHEN 0 THEN '+opened' ELSE '' END AS key, units FROM answer
        UNION ALL
        SELECT kind || '/' || delivery_id, units FROM decision
    ) AS r
    WHERE NOT EXISTS (SELECT FROM visited AS v WHERE v.key = r.key)
)
SELECT key FROM unmet
WHERE (SELECT count(DISTINCT u.cut) FROM unit AS u WHERE u.id = ANY(units) AND u.cut = ANY($1::text[]))
      < cardinality($1::text[])

-- name: count_missing
SELECT count(*) FROM unplaced AS u WHERE NOT EXISTS (SELECT FROM visited AS v WHERE v.key = u.key)

-- name: forget_build
DROP TABLE IF EXISTS visited

-- name: retire_units
UPDATE unit SET cut = '-' || $2::text || '-' || cut WHERE cut = $1

-- name: retire_cells
DELETE FROM cell USING unit AS u
WHERE u.cut = $1 AND cell BETWEEN u.id::bigint << 32 AND (u.id::bigint << 32) + 4294967295
RETURNING cell

-- name: forget_cut
DELETE FROM counted_cut WHERE cut = $1

-- name: show_cut
UPDATE counted_cut SET state = 'counted', windows = coalesce(next, windows), next = NULL WHERE cut = $1

-- name: drop_windows
DELETE FROM cell USING unit AS u, unnest($2::bigint[], $3::bigint[]) AS w (lowest, highest)
WHERE u.cut = $1 AND cell BETWEEN (u.id::bigint << 32) + w.lowest AND (u.id::bigint << 32) + w.highest
RETURNING cell

-- name: build_windows
-- Cells of the cut $1 in the windows $2, from everything counted; $3: whether it is a cut of series. It is the fold of
-- expected_cell for one cut alone, for counting waits meanwhile, and that view folds all cuts first.
INSERT INTO cell
WITH counted AS NOT MATERIALIZED (
    SELECT units, local_hour, minute, series,
           (score = 1 AND NOT contested)::int AS s1, (score = 2 AND NOT contested)::int AS s2,
           (score = 3 AND NOT contested)::int AS s3, (score = 4 AND NOT contested)::int AS s4,
           (score = 5 AND NOT contested)::int AS s5,
           0 AS delivered, 0 AS asked, 0 AS suppressed, 0 AS pending, 0 AS failed,
           commented::int AS commented, contested::int AS contested, 0 AS reached, (series IS NULL)::int AS opened
    FROM answer
    UNION ALL
    SELECT units, local_hour, minute, NULL, 0, 0, 0, 0, 0, (outcome <> 'reached')::int, (outcome = 'asked')::int,
           (outcome = 'suppressed')::int, (outcome = 'pending')::int, (outcome = 'failed')::int, 0, 0,
           (outcome = 'reached')::int, 0
    FROM decision
), placed AS (
    SELECT u.unit, c.* FROM counted AS c CROSS JOIN LATERAL unnest(c.units) AS u (unit)
    WHERE NOT $3::bool AND c.series IS NULL AND u.unit IN (SELECT id FROM unit WHERE cut = $1)
    UNION ALL
    SELECT t.id, c.*
    FROM counted AS c
    CROSS JOIN LATERAL unnest(c.units) AS u (unit)
    JOIN unit AS o ON o.id = u.unit
    JOIN unit AS t ON t.cut = $1
                  AND t.value = CASE o.cut WHEN 'total' THEN c.series ELSE o.value || ' × ' || c.series END
    WHERE $3::bool AND c.series IS NOT NULL AND $1 = CASE o.cut WHEN 'total' THEN 'series' ELSE o.cut || '.series' END
), spread AS (
    SELECT (p.unit::bigint << 32) + w.base + w.index AS cell, p.*
    FROM placed AS p CROSS JOIN LATERAL (VALUES
        (1, 0, p.local_hour),
        (2, 1073741824, p.local_hour / 24),
        (4, 2147483648, ((extract(year FROM date '1970-01-01' + p.local_hour / 24) - 1970) * 12
                         + extract(month FROM date '1970-01-01' + p.local_hour / 24) - 1)::int),
        (8, 3221225472, 0),
        (16, 3489660928, (p.local_hour / 24 + 3) / 7),
        (32, 3758096384, p.local_hour * 60 + p.minute)
    ) AS w (bit, base, index)
    WHERE $2::int & w.bit <> 0 AND (w.bit <> 32 OR w.index >= (SELECT minutes_from FROM counting))
)
SELECT cell, 1, coalesce(sum(s1), 0), coalesce(sum(s2), 0), coalesce(sum(s3), 0), coalesce(sum(s4), 0),
       coalesce(sum(s5), 0), sum(delivered), sum(asked), sum(suppressed), sum(pending), sum(failed), sum(commented),
       sum(contested), sum(reached), sum(opened)
FROM spread GROUP BY unit, cell
ON CONFLICT DO NOTHING

-- name: cells_of_cut_numbers
SELECT c.cell FROM unit AS u
JOIN cell AS c ON c.cell BETWEEN u.id::bigint << 32 AND (u.id::bigint << 32) + 4294967295
WHERE u.cut = $1
