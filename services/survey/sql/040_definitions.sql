-- What each survey definition said when this installation first started with it, so that none changes once it was asked.
CREATE TABLE survey_definition (
    id         text PRIMARY KEY,
    sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),  -- of what the file says, without spaces and remarks
    noted_at   timestamptz NOT NULL DEFAULT now()
);
