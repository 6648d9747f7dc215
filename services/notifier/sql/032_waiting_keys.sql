-- The claim asks whether anything of a delivery waits for Kafka; that stands in a table of its own now.
CREATE INDEX outbox_waiting_key_hash ON outbox_waiting (key_hash);
DROP INDEX outbox_waiting_key;
