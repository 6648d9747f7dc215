-- Which time-zone data gave deliveries their local hour, and so their month.

-- A row for each start of an aggregator with another version than the one before.
CREATE TABLE zone_data (
    since   timestamptz PRIMARY KEY,
    version text NOT NULL -- as the data tells it, such as 2026a
);

-- What was counted before this table is of a version that nobody kept.
INSERT INTO zone_data SELECT '-infinity', 'untold' FROM counting;

-- The versions in use since the month began; NULL: closed before they were kept.
ALTER TABLE closed_month ADD COLUMN zone_data text[];
