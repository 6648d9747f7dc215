-- name: keep_disruptions
INSERT INTO disruption AS d (disruption_id, revision, kind, countries, stands, starts_at, ends_at)
SELECT t.id, t.revision, t.kind, string_to_array(t.countries, ' '), t.stands, t.starts_at, t.ends_at
FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::boolean[], $6::timestamptz[], $7::timestamptz[])
    AS t (id, revision, kind, countries, stands, starts_at, ends_at)
ON CONFLICT (disruption_id) DO UPDATE
SET revision = excluded.revision, kind = excluded.kind, countries = excluded.countries, stands = excluded.stands,
    starts_at = excluded.starts_at, ends_at = excluded.ends_at
WHERE d.revision < excluded.revision

-- name: disruptions_since
-- What goes on or ended after a moment, the longest first.
SELECT kind, countries, starts_at, ends_at FROM disruption
WHERE stands AND starts_at <= $2 AND (ends_at IS NULL OR ends_at > $1)
ORDER BY starts_at LIMIT 5
