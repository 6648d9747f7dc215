-- The order in a column of its own: an index on the message reads all of it at every change of its row.
ALTER TABLE invitation ADD COLUMN order_id text;
UPDATE invitation SET order_id = message -> 'delivery' ->> 'order_id'
WHERE kind = 'ask' AND message -> 'delivery' ->> 'order_id' IS NOT NULL;
DROP INDEX invitation_order;
CREATE INDEX invitation_order ON invitation (order_id) WHERE kind = 'ask' AND order_id IS NOT NULL;
