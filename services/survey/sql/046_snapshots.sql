-- The facts as the delivery was decided about, where `delivery` holds facts that were corrected since: answers count by
-- these, people read the others.
ALTER TABLE invitation ADD COLUMN snapshot json;
