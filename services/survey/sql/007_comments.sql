-- The search index of comments: what words a comment has, never its text (docs/adr). A row goes with the comment.

CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE comment_index (
    response_id   uuid PRIMARY KEY,
    revision      int NOT NULL,      -- of the response; an older one never comes over a newer
    words         tsvector NOT NULL, -- of the scrubbed text, in its language, without positions
    language      text,              -- NULL where it is not sure
    score         smallint CHECK (score BETWEEN 1 AND 5),
    reasons       text[] NOT NULL,
    terminal      text,
    service_point text,
    said_at       timestamptz NOT NULL
);
CREATE INDEX comment_words ON comment_index USING gin (words) WITH (fastupdate = off);
CREATE INDEX comment_said ON comment_index (said_at DESC, response_id DESC);
CREATE INDEX comment_terminal ON comment_index (terminal, said_at DESC, response_id DESC);
CREATE INDEX comment_service_point ON comment_index (service_point, said_at DESC, response_id DESC)
    WHERE service_point IS NOT NULL;
ALTER TABLE comment_index ALTER COLUMN words SET STATISTICS 1000;

-- Names of places, each once, found by likeness.
CREATE TABLE comment_place (
    name text PRIMARY KEY
);
CREATE INDEX comment_place_like ON comment_place USING gin (name gin_trgm_ops);

-- Whoever takes a comment away, by its age or with its person, takes it out of the index in the same transaction.
CREATE FUNCTION forget_comment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM comment_index WHERE response_id = OLD.response_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER comment_gone AFTER UPDATE OF comment_sealed ON response FOR EACH ROW
    WHEN (OLD.comment_sealed IS NOT NULL AND NEW.comment_sealed IS NULL) EXECUTE FUNCTION forget_comment();
CREATE TRIGGER comment_deleted AFTER DELETE ON response FOR EACH ROW
    WHEN (OLD.comment_sealed IS NOT NULL) EXECUTE FUNCTION forget_comment();
