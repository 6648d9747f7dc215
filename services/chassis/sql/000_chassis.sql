-- What every consuming and publishing service keeps: how far it has read, and what Kafka must still get.

CREATE TABLE progress (
    topic      text   NOT NULL,
    part       int    NOT NULL,
    cluster_id text   NOT NULL,
    topic_id   uuid   NOT NULL,
    next       bigint NOT NULL,
    moved_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, part)
);

CREATE TABLE outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard        smallint    NOT NULL,
    topic        text        NOT NULL,
    key          bytea,
    value        bytea,
    event_id     uuid        NOT NULL DEFAULT uuidv7(),
    happened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    traceparent  text,
    raw_headers  json,       -- dead letters only: the untouched headers, base64
    published_at timestamptz
);
-- The relay looks for unpublished rows only; a cursor on id would skip rows that commit late.
CREATE INDEX outbox_unpublished ON outbox (shard, id) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;
