-- name: add_partner
INSERT INTO partner (partner, audience, merchants, cuts, time_window, grid, lot, prefix, secret_sha256, created_at,
                     published_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: lock_partners
LOCK TABLE partner IN SHARE ROW EXCLUSIVE MODE

-- name: lock_closed_months
-- A month that is closed meanwhile is seen before or counts this partner among its readers.
LOCK TABLE closed_month IN SHARE ROW EXCLUSIVE MODE

-- name: all_partners
SELECT * FROM partner ORDER BY partner

-- name: merchants_counted
SELECT value FROM unit WHERE cut = 'merchant' ORDER BY value

-- name: revoke_partner
UPDATE partner SET revoked_at = coalesce(revoked_at, $2) WHERE partner = $1 RETURNING partner

-- name: partner_with_prefix
SELECT * FROM partner WHERE prefix = $1

-- name: lock_partner
SELECT * FROM partner WHERE partner = $1 AND revoked_at IS NULL FOR UPDATE

-- name: days
-- Each day that answers are about, with a sum that is another one as soon as any of them counts otherwise or elsewhere.
-- Reads all answers, but joins and keeps nothing.
SELECT local_hour / 24 AS day, count(*)::text || ' ' || bit_xor(
           hash_record_extended(ROW(response_id, CASE WHEN series IS NULL AND NOT contested THEN score END, units), 0)
       ) AS mark
FROM answer GROUP BY 1 ORDER BY 1

-- name: version_of_cuts
SELECT version FROM counting

-- name: windows_released
-- By jumps along the index: there are many releases in few windows.
WITH RECURSIVE found AS (
    SELECT min(time_window) AS start FROM partner_release WHERE partner = $1
    UNION ALL
    SELECT (SELECT min(time_window) FROM partner_release WHERE partner = $1 AND time_window > f.start)
    FROM found AS f WHERE f.start IS NOT NULL
)
SELECT start FROM found WHERE start IS NOT NULL

-- name: quiet
SELECT time_window, mark FROM partner_quiet WHERE partner = $1

-- name: forget_quiet
DELETE FROM partner_quiet WHERE partner = $1 AND time_window = $2

-- name: keep_quiet
INSERT INTO partner_quiet (partner, time_window, mark) VALUES ($1, $2, $3)

-- name: make_changed
CREATE TEMP TABLE changed (
    response_id uuid NOT NULL, alike bigint NOT NULL, unit text[] NOT NULL, depth smallint, grouped boolean,
    day int NOT NULL, merchant text, old smallint, new smallint, tried boolean NOT NULL, tried_last boolean NOT NULL
) ON COMMIT DROP

-- name: gather
-- Respondents of the window $4, which begins at the hour $5 and ends before $6, whose answer counts otherwise than it
-- was last released to this partner. Nothing deletes answers: one that is away altogether is not read again yet, or
-- was too old to be, and stands; one that is another merchant's or window's now counts as one that was taken back.
WITH ours AS (
    SELECT coalesce(array_agg(id), '{}') AS units FROM unit WHERE cut = 'merchant' AND value = ANY($2::text[])
), differing AS (
    SELECT coalesce(a.response_id, r.response_id) AS response_id, a.score AS new, r.score AS old, a.units,
           coalesce(r.day, a.day) AS day, r.unit, r.depth, r.grouped, r.merchant
    FROM (
        SELECT response_id, CASE WHEN series IS NULL AND NOT contested THEN score END AS score, local_hour / 24 AS day, units
        FROM answer
        WHERE local_hour >= $5 AND local_hour < $6 AND ($2::text[] IS NULL OR units && (SELECT units FROM ours))
    ) AS a
    FULL JOIN (SELECT * FROM partner_release WHERE partner = $1 AND time_window = $4) AS r
        ON r.response_id = a.response_id
    WHERE a.score IS DISTINCT FROM r.score
      AND (a.response_id IS NOT NULL OR EXISTS (SELECT FROM answer AS e WHERE e.response_id = r.response_id))
), placed AS (
    SELECT d.response_id, d.new, d.old, d.day, d.depth, d.grouped,
           coalesce(d.unit, ARRAY(
               SELECT coalesce((SELECT value FROM unit WHERE cut = w.cut AND id = ANY(d.units)), '')
               FROM unnest($3::text[]) WITH ORDINALITY AS w (cut, place) ORDER BY w.place
           )) AS unit,
           coalesce(d.merchant, (SELECT value FROM unit WHERE cut = 'merchant' AND id = ANY(d.units))) AS merchant,
           t.response_id IS NOT NULL AS tried, coalesce(t.is_last, false) AS tried_last
    FROM differing AS d
    LEFT JOIN partner_tried AS t ON t.partner = $1 AND t.response_id = d.response_id
)
INSERT INTO changed
SELECT response_id,
       dense_rank() OVER (
           ORDER BY unit COLLATE "C", depth, grouped, day, merchant COLLATE "C", old, new, tried, tried_last
       ),
       unit, depth, grouped, day, merchant, old, new, tried, tried_last
FROM placed

-- name: alike
SELECT alike, unit, depth, grouped, day, merchant, old, new, tried, tried_last, count(*) AS people
FROM changed GROUP BY alike, unit, depth, grouped, day, merchant, old, new, tried, tried_last ORDER BY alike

-- name: forget_changed
TRUNCATE changed

-- name: released
SELECT unit[1:depth] AS path, grouped, count(DISTINCT unit) AS units,
       count(*) FILTER (WHERE score = 1) AS s1, count(*) FILTER (WHERE score = 2) AS s2,
       count(*) FILTER (WHERE score = 3) AS s3, count(*) FILTER (WHERE score = 4) AS s4,
       count(*) FILTER (WHERE score = 5) AS s5
FROM partner_release WHERE partner = $1 AND time_window = $2
GROUP BY 1, 2

-- name: release
INSERT INTO partner_release (partner, response_id, time_window, unit, depth, grouped, day, merchant, score)
SELECT $1, c.response_id, $2, c.unit, w.depth, w.grouped, c.day, c.merchant, c.new
FROM changed AS c JOIN unnest($3::bigint[], $4::smallint[], $5::boolean[]) AS w (alike, depth, grouped) USING (alike)
ON CONFLICT (partner, response_id) DO UPDATE SET score = excluded.score

-- name: note_tried
INSERT INTO partner_tried (partner, response_id, is_last)
SELECT $1, c.response_id, w.is_last
FROM changed AS c JOIN unnest($2::bigint[], $3::boolean[]) AS w (alike, is_last) USING (alike)
ON CONFLICT (partner, response_id) DO UPDATE SET is_last = partner_tried.is_last OR excluded.is_last

-- name: forget_tried
DELETE FROM partner_tried AS t USING changed AS c
WHERE t.partner = $1 AND t.response_id = c.response_id AND c.tried AND c.alike = ANY($2::bigint[])

-- name: cells_of_window
SELECT key, version, value FROM partner_cell WHERE partner = $1 AND right(key, length($2) + 1) = '|' || $2

-- name: partner_cells
SELECT key, version, value, as_of, sent FROM partner_cell WHERE partner = $1 ORDER BY key

-- name: keep_cell
INSERT INTO partner_cell (partner, key, version, value, as_of) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (partner, key) DO UPDATE
SET version = excluded.version, value = excluded.value, as_of = excluded.as_of
WHERE partner_cell.version < excluded.version

-- name: worked_on
UPDATE partner SET published_at = $2 WHERE partner = $1

-- name: unsent
SELECT key, version, value, as_of FROM partner_cell WHERE partner = $1 AND sent < version ORDER BY key LIMIT 5000

-- name: sent
UPDATE partner_cell AS c SET sent = w.version FROM unnest($2::text[], $3::bigint[]) AS w (key, version)
WHERE c.partner = $1 AND c.key = w.key AND c.version = w.version

-- name: send_again
UPDATE partner_cell SET sent = 0 WHERE partner = $1 AND key = ANY($2::text[])

-- name: page
SELECT key, version, value FROM partner_cell
WHERE partner = $1 AND value IS NOT NULL AND key COLLATE "C" > $2 ORDER BY key LIMIT $3

-- name: state
SELECT count(*) AS cells, coalesce(sum(version), 0)::bigint AS versions FROM partner_cell WHERE partner = $1
