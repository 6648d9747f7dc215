-- Up to which link, in the order of their ids, retention has looked: those without an answer have gone, the others stay.
CREATE TABLE dead_link_position (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    up_to  uuid NOT NULL
);
