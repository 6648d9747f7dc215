-- name: sealed_comments
SELECT r.response_id, r.comment_sealed, r.comment_digest, r.masked_words, encode(i.token_sha256, 'hex') AS row, i.delivery ->> 'country' AS country,
       c.sealed AS contact, decode(i.person_id, 'hex') AS person
FROM response AS r
JOIN invitation AS i ON i.invitation_id = r.response_id
LEFT JOIN contact_wish AS c USING (response_id)
WHERE r.response_id = ANY($1::uuid[]) AND r.comment_sealed IS NOT NULL

-- name: index_comments
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[],
                         $8::text[], $9::text[], $10::text[], $11::timestamptz[])
        AS g (response_id, revision, text, configuration, language, facts, score, reasons, terminal, service_point, said_at)
), places AS (
    INSERT INTO comment_place (name)
    SELECT DISTINCT name FROM (SELECT terminal FROM given UNION SELECT service_point FROM given) AS p (name)
    WHERE name IS NOT NULL
    ORDER BY name
    ON CONFLICT DO NOTHING
)
INSERT INTO comment_index AS c (response_id, revision, words, language, score, reasons, terminal, service_point, said_at)
SELECT response_id, revision,
       strip(to_tsvector(configuration::regconfig, text)) || array_to_tsvector(string_to_array(facts, E'\n')),
       language, score, string_to_array(reasons, ','), terminal, service_point, said_at
FROM given
ORDER BY response_id
ON CONFLICT (response_id) DO UPDATE SET
    revision = excluded.revision, words = excluded.words, language = excluded.language, score = excluded.score,
    reasons = excluded.reasons, terminal = excluded.terminal, service_point = excluded.service_point,
    said_at = excluded.said_at
WHERE c.revision <= excluded.revision

-- name: forget_comments
DELETE FROM comment_index WHERE response_id = ANY($1::uuid[])

-- name: text_query
-- The words of each language hold for comments in that language only; `''` asks for nothing.
-- With $4, longer stems match as beginnings: compounds, and endings that a stemmer leaves, such as Swedish -et.
SELECT coalesce(string_agg(
    '(' || CASE WHEN $4 THEN regexp_replace(q.words::text, '(?<!'')''([[:alpha:]]{4,})''(?!'')', '''\1'':*', 'g')
                ELSE q.words::text END
    || ' & ' || quote_literal('§l' || coalesce(l.language, '')) || ')', ' | '), '')
FROM unnest($2::text[], $3::text[]) AS l (language, configuration),
     LATERAL websearch_to_tsquery(l.configuration::regconfig, $1) AS q (words)
WHERE numnode(q.words) > 0

-- name: search_newest
-- Looks through the newest comments only: what is frequent is found here at once.
SELECT n.response_id, n.said_at, n.score, n.reasons, n.terminal, n.service_point, n.language
FROM (
    SELECT * FROM comment_index AS c
    WHERE ($2::text IS NULL OR c.terminal = $2)
      AND ($3::timestamptz IS NULL OR c.said_at >= $3)
      AND ($4::timestamptz IS NULL OR c.said_at < $4)
      AND ($5::timestamptz IS NULL OR (c.said_at, c.response_id) < ($5, $6::uuid))
    ORDER BY c.said_at DESC, c.response_id DESC
    LIMIT $7
) AS n
WHERE $1::text = '' OR n.words @@ $1::tsquery
ORDER BY n.said_at DESC, n.response_id DESC
LIMIT $8

-- name: search_all
-- Asks the index of words and facts first, then sorts: what is not frequent is found here. The barrier keeps
-- PostgreSQL from walking through all comments in order of time instead.
WITH hits AS MATERIALIZED (
    SELECT c.response_id, c.said_at, c.score, c.reasons, c.terminal, c.service_point, c.language
    FROM comment_index AS c
    WHERE c.words @@ $1::tsquery
      AND ($2::text IS NULL OR c.terminal = $2)
      AND ($3::timestamptz IS NULL OR c.said_at >= $3)
      AND ($4::timestamptz IS NULL OR c.said_at < $4)
      AND ($5::timestamptz IS NULL OR (c.said_at, c.response_id) < ($5, $6::uuid))
)
SELECT * FROM hits ORDER BY said_at DESC, response_id DESC LIMIT $7

-- name: places_like
SELECT name FROM comment_place WHERE $1 <% name OR name ILIKE '%' || $2 || '%'
ORDER BY word_similarity($1, name) DESC, name
LIMIT 20
