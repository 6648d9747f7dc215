-- Which key makes the pseudonyms that are in use here: with another one every wish, erasure and STOP is forgotten.
CREATE TABLE pseudonym_key (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    key_id text NOT NULL
);
