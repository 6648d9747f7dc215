-- Under a condition of its own, which the relay's index does not meet: with statistics from when nothing waited for
-- Kafka, PostgreSQL took that one instead, and read all that waits for each request.
CREATE INDEX outbox_waiting_key ON outbox (key) WHERE coalesce(published_at, 'infinity') = 'infinity';
DROP INDEX outbox_unpublished_key;
