-- name: make_incoming
CREATE TEMP TABLE IF NOT EXISTS incoming_answer (LIKE answer) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS incoming_decision (LIKE decision) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS incoming_cell (LIKE cell INCLUDING DEFAULTS) ON COMMIT DELETE ROWS

-- name: learn_units
-- A conflict draws a number as well: what is known already is left out, so that numbers grow with the units alone.
INSERT INTO unit (cut, value) SELECT cut, value FROM unnest($1::text[], $2::text[]) AS u (cut, value)
WHERE NOT EXISTS (SELECT FROM unit AS k WHERE k.cut = u.cut AND k.value = u.value)
ORDER BY cut, value
ON CONFLICT DO NOTHING

-- name: find_units
SELECT u.id, u.cut, u.value FROM unit AS u
JOIN unnest($1::text[], $2::text[]) AS w (cut, value) ON u.cut = w.cut AND u.value = w.value

-- name: find_dropped_units
-- Those of the units that a dropped cut had and no cut of today has; dropped ones keep their rows under another name.
SELECT w.cut, w.value
FROM unnest($1::text[], $2::text[]) AS w (cut, value)
JOIN (SELECT DISTINCT cut FROM unit WHERE starts_with(cut, '-')) AS d ON regexp_replace(d.cut, '^-[0-9]+-', '') = w.cut
WHERE EXISTS (SELECT FROM unit AS u WHERE u.cut = d.cut AND u.value = w.value)
  AND NOT EXISTS (SELECT FROM unit AS u WHERE u.cut = w.cut AND u.value = w.value)

-- name: units_by_number
SELECT id, cut, value FROM unit WHERE id = ANY($1::int[])

-- name: make_asked
-- What a large batch asks for, as one array each. Arrays that the driver sends are looked at number by number, by it and
-- by the planner, which then reads the whole table where it knows little of it yet; of these it knows nothing.
CREATE TEMP TABLE IF NOT EXISTS asked (answers uuid[] STORAGE EXTERNAL, cells bigint[] STORAGE EXTERNAL) ON COMMIT DROP

-- name: which_answers
SELECT response_id FROM answer WHERE response_id = ANY((SELECT answers FROM asked WHERE answers IS NOT NULL)::uuid[])

-- name: keep_answers
-- An older or repeated revision returns no row and so is not counted. Units and hour are those of the first; that a
-- page was opened (revision 0) fixes no place, because it comes by another topic, before or after the answer. Of a
-- first revision nothing old is told.
INSERT INTO answer AS a SELECT * FROM incoming_answer
ON CONFLICT (response_id) DO UPDATE
SET revision = excluded.revision, score = excluded.score, commented = excluded.commented, contested = excluded.contested,
    series = excluded.series,
    units = CASE a.revision WHEN 0 THEN excluded.units ELSE a.units END,
    local_hour = CASE a.revision WHEN 0 THEN excluded.local_hour ELSE a.local_hour END,
    minute = CASE a.revision WHEN 0 THEN excluded.minute ELSE a.minute END
WHERE a.revision < excluded.revision
RETURNING new.response_id, old.revision,
          CASE WHEN old.revision > 0 THEN (old.score, old.commented, old.contested, old.series) END, old.units,
          old.local_hour, old.minute

-- name: keep_decisions
INSERT INTO decision AS d SELECT * FROM incoming_decision
ON CONFLICT (delivery_id, kind) DO UPDATE
SET revision = excluded.revision, outcome = excluded.outcome
WHERE d.revision < excluded.revision
RETURNING new.delivery_id, new.kind, old.outcome, CASE WHEN old.revision IS NOT NULL THEN new.units END, new.local_hour,
          new.minute

-- name: hold_cells
SELECT pg_advisory_xact_lock(hashtextextended('cells of ' || current_schema(), 0))

-- name: which_cells
SELECT cell FROM cell WHERE cell = ANY((SELECT cells FROM asked WHERE cells IS NOT NULL)::bigint[])

-- name: apply_deltas
INSERT INTO cell AS c SELECT * FROM incoming_cell ORDER BY cell
ON CONFLICT (cell) DO UPDATE
SET version = c.version + 1,
    s1 = c.s1 + excluded.s1, s2 = c.s2 + excluded.s2, s3 = c.s3 + excluded.s3, s4 = c.s4 + excluded.s4,
    s5 = c.s5 + excluded.s5, delivered = c.delivered + excluded.delivered, asked = c.asked + excluded.asked,
    suppressed = c.suppressed + excluded.suppressed, pending = c.pending + excluded.pending,
    failed = c.failed + excluded.failed, commented = c.commented + excluded.commented,
    contested = c.contested + excluded.contested, reached = c.reached + excluded.reached,
    opened = c.opened + excluded.opened
RETURNING cell, version, s1, s2, s3, s4, s5, delivered, asked, suppressed, pending, failed, commented, contested, reached,
          opened

-- name: join_by_index
-- For the rest of the transaction: a table of cells is far larger than a batch, which the planner may not know yet.
SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)

-- name: add_to_old
-- Many cells that have rows: a third less work than where each might be new.
UPDATE cell AS c
SET version = c.version + 1,
    s1 = c.s1 + i.s1, s2 = c.s2 + i.s2, s3 = c.s3 + i.s3, s4 = c.s4 + i.s4, s5 = c.s5 + i.s5,
    delivered = c.delivered + i.delivered, asked = c.asked + i.asked, suppressed = c.suppressed + i.suppressed,
    pending = c.pending + i.pending, failed = c.failed + i.failed, commented = c.commented + i.commented,
    contested = c.contested + i.contested, reached = c.reached + i.reached, opened = c.opened + i.opened
FROM incoming_cell AS i WHERE c.cell = i.cell
RETURNING c.cell, c.version, c.s1, c.s2, c.s3, c.s4, c.s5, c.delivered, c.asked, c.suppressed, c.pending, c.failed,
          c.commented, c.contested, c.reached, c.opened

-- name: touch
INSERT INTO touched (cells) VALUES ($1) RETURNING id

-- name: touched_last
-- The number of the row that this session wrote last.
SELECT currval(pg_get_serial_sequence('touched', 'id'))

-- name: read_touched
SELECT id, cardinality(cells) AS cells FROM touched ORDER BY id LIMIT 1000

-- name: touched_cells
-- The cells that the rows $1 tell of, as they stand; version 0 where there is none any more.
SELECT t.cell, coalesce(c.version, 0), coalesce(c.s1, 0), coalesce(c.s2, 0), coalesce(c.s3, 0), coalesce(c.s4, 0),
       coalesce(c.s5, 0), coalesce(c.delivered, 0), coalesce(c.asked, 0), coalesce(c.suppressed, 0),
       coalesce(c.pending, 0), coalesce(c.failed, 0), coalesce(c.commented, 0), coalesce(c.contested, 0),
       coalesce(c.reached, 0), coalesce(c.opened, 0)
FROM (SELECT DISTINCT c >> 32, c AS cell FROM touched, unnest(cells) AS c WHERE id = ANY($1::bigint[]) ORDER BY c) AS t
LEFT JOIN cell AS c USING (cell)

-- name: waiting_cells
-- Some of them twice: to hash packed cells takes PostgreSQL minutes (039_cells_by_unit.sql).
SELECT unnest(cells) AS cell FROM touched

-- name: forget_touched
DELETE FROM touched WHERE id = ANY($1::bigint[])

-- name: cells_by_key
SELECT cell, version, s1, s2, s3, s4, s5, delivered, asked, suppressed, pending, failed, commented, contested, reached,
       opened
FROM cell WHERE cell = ANY($1::bigint[])

-- name: names_of_units
-- A dropped cut is told by the name that it had; one under construction is not told yet.
SELECT id, regexp_replace(cut, '^-[0-9]+-', '') AS cut, value FROM unit AS u
WHERE id = ANY($1::int[]) AND NOT EXISTS (SELECT FROM counted_cut AS k WHERE k.cut = u.cut AND k.state IN ('building', 'built'))

-- name: all_versions
SELECT cell, version FROM cell

-- name: cells_of_cut
-- By value and time, after the value $5 at the cell $6. A cut that is still being built is not shown.
SELECT u.cut, u.value, c.*
FROM unit AS u
JOIN cell AS c ON c.cell BETWEEN (u.id::bigint << 32) + $2::bigint AND (u.id::bigint << 32) + $3::bigint
WHERE u.cut = $1 AND ($4::text IS NULL OR u.value = $4)
  AND ($5::text IS NULL OR (u.value, c.cell) > ($5, $6::bigint))
  AND NOT EXISTS (SELECT FROM counted_cut WHERE cut = $1 AND state IN ('building', 'built'))
ORDER BY u.value, c.cell
LIMIT $7

-- name: cells_of_first
-- Of a cut of two properties the cells of one value of the first, which is $4 with $5, what joins values, behind it. A
-- longer value may begin alike.
SELECT u.cut, u.value, c.*
FROM unit AS u
JOIN cell AS c ON c.cell BETWEEN (u.id::bigint << 32) + $2::bigint AND (u.id::bigint << 32) + $3::bigint
WHERE u.cut = $1 AND starts_with(u.value, $4 || $5) AND strpos(substr(u.value, length($4 || $5) + 1), $5) = 0
  AND NOT EXISTS (SELECT FROM counted_cut WHERE cut = $1 AND state IN ('building', 'built'))
ORDER BY u.value, c.cell

-- name: shown_cuts
SELECT cut FROM counted_cut WHERE state IN ('counted', 'leaving') ORDER BY cut

-- name: audit_cells
-- Counters against the view that folds everything counted, in one snapshot. Written apart from the counting code.
SELECT coalesce(e.cell, c.cell) AS cell, u.cut, u.value,
       ARRAY[c.s1, c.s2, c.s3, c.s4, c.s5, c.delivered, c.asked, c.suppressed, c.pending, c.failed, c.commented,
             c.contested, c.reached, c.opened] AS counted,
       ARRAY[e.s1, e.s2, e.s3, e.s4, e.s5, e.delivered, e.asked, e.suppressed, e.pending, e.failed, e.commented,
             e.contested, e.reached, e.opened]::bigint[] AS expected
FROM expected_cell AS e FULL JOIN cell AS c ON c.cell >> 32 = e.cell >> 32 AND c.cell = e.cell
LEFT JOIN unit AS u ON u.id = (coalesce(e.cell, c.cell) >> 32)::int
WHERE (coalesce(e.s1, 0), coalesce(e.s2, 0), coalesce(e.s3, 0), coalesce(e.s4, 0), coalesce(e.s5, 0),
       coalesce(e.delivered, 0), coalesce(e.asked, 0), coalesce(e.suppressed, 0), coalesce(e.pending, 0),
       coalesce(e.failed, 0), coalesce(e.commented, 0), coalesce(e.contested, 0),
       coalesce(e.reached, 0), coalesce(e.opened, 0))
   IS DISTINCT FROM
      (coalesce(c.s1, 0), coalesce(c.s2, 0), coalesce(c.s3, 0), coalesce(c.s4, 0), coalesce(c.s5, 0),
       coalesce(c.delivered, 0), coalesce(c.asked, 0), coalesce(c.suppressed, 0), coalesce(c.pending, 0),
       coalesce(c.failed, 0), coalesce(c.commented, 0), coalesce(c.contested, 0),
       coalesce(c.reached, 0), coalesce(c.opened, 0))
ORDER BY 1

-- name: counted_answers
-- Revision 0 is a page that was opened.
SELECT response_id, revision, score, contested FROM answer WHERE revision > 0 ORDER BY response_id

-- name: counted_among
SELECT response_id, revision, score, contested FROM answer WHERE response_id = ANY($1::uuid[]) AND revision > 0

-- name: totals
SELECT (SELECT count(*) FROM answer WHERE revision > 0) AS answers,
       (SELECT count(*) FROM decision WHERE kind <> 'reached') AS deliveries,
       (SELECT count(*) FROM cell) AS cells
