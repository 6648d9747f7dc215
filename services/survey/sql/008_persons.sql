-- A data key for each person, sealed by the installation's key. A row without one is a tombstone.
CREATE TABLE person_key (
    person    bytea PRIMARY KEY CHECK (length(person) = 16),
    wrapped   bytea,        -- the person's key, sealed; NULL once destroyed
    sealed_by text,         -- which of the installation's keys sealed it
    erased_at timestamptz,  -- nothing from before this moment may come back
    CHECK ((wrapped IS NULL) = (sealed_by IS NULL)),
    CHECK (wrapped IS NOT NULL OR erased_at IS NOT NULL)
);
-- For the change of the installation's key.
CREATE INDEX person_key_sealed_by ON person_key (sealed_by) WHERE wrapped IS NOT NULL;

-- Whether a public review is offered to whom an invitation went, decided before there is any answer (guarantee 9).
CREATE TABLE review_offer (
    invitation_id uuid PRIMARY KEY,
    policy        text NOT NULL,     -- a merchant's id, or default
    survey        text,
    rate          float8 NOT NULL,   -- the share that is drawn, as it was then
    offered       boolean NOT NULL
);
