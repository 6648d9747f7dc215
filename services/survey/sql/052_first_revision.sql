-- After a restore that ends before the loss, Kafka and its readers know revisions that the answers here do not have.
-- New revisions are above this one then, or readers would drop them as old. docs/backup.md has it raised.
CREATE TABLE first_revision (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    above    int NOT NULL CHECK (above >= 0)
);
INSERT INTO first_revision (above) VALUES (0);
