-- Who looked at whose contact data, when and why. Rows are added only; nothing in here is contact data.
CREATE TABLE contact_view (
    view_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    viewed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    subject     text NOT NULL, -- the member, as the sign-in provider knows them
    member      text NOT NULL, -- as colleagues know them
    response_id uuid NOT NULL, -- no foreign key: the note outlives an erased answer
    reason      text NOT NULL CHECK (reason <> '')
);

CREATE INDEX contact_view_by_response ON contact_view (response_id, viewed_at);
CREATE INDEX contact_view_by_time ON contact_view (viewed_at);
