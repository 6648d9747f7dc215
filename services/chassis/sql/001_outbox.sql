-- Old rows are found by their id.
DROP INDEX outbox_published;
