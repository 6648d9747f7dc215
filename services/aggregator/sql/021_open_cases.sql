-- Where a case is and whether it is open, so that the live page can tell open cases by terminal.
ALTER TABLE complaint ADD COLUMN terminal text, ADD COLUMN is_open boolean NOT NULL DEFAULT true;
CREATE INDEX complaint_open ON complaint (terminal) WHERE is_open;
