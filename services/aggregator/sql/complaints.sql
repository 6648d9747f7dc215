-- name: keep_complaints
INSERT INTO complaint AS c (case_id, revision, month, cause, attribution, viewpoint, terminal, is_open)
SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::text[], $5::text[], $6::boolean[], $7::text[], $8::boolean[])
ON CONFLICT (case_id) DO UPDATE
SET revision = excluded.revision, cause = excluded.cause, attribution = excluded.attribution,
    viewpoint = excluded.viewpoint, terminal = excluded.terminal, is_open = excluded.is_open
WHERE c.revision < excluded.revision

-- name: close_complaints
-- A case without cause or responsibility is not judged yet.
INSERT INTO closed_complaint (month, revision, cause, attribution, complaints)
SELECT $1, $2,
       CASE WHEN cause IS NULL OR attribution IS NULL THEN '' ELSE cause END,
       CASE WHEN cause IS NULL OR attribution IS NULL THEN '' ELSE attribution END, count(*)
FROM complaint WHERE month = $1 AND NOT viewpoint
GROUP BY 3, 4

-- name: complaints_that_moved_since_closing
SELECT count(*) FROM (
    SELECT CASE WHEN cause IS NULL OR attribution IS NULL THEN '' ELSE cause END AS cause,
           CASE WHEN cause IS NULL OR attribution IS NULL THEN '' ELSE attribution END AS attribution,
           count(*) AS complaints
    FROM complaint WHERE month = $1 AND NOT viewpoint
    GROUP BY 1, 2
) AS c FULL JOIN (
    SELECT * FROM closed_complaint WHERE month = $1 AND revision = $2
) AS k USING (cause, attribution)
WHERE c.complaints IS DISTINCT FROM k.complaints

-- name: closed_complaints
SELECT cause, attribution, complaints FROM closed_complaint WHERE month = $1 AND revision = $2
