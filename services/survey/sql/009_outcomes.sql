-- Cases get their nature, and staff's own words go to the person who asked to be contacted.

ALTER TABLE feedback_case ADD COLUMN nature text; -- complaint about the item, or a viewpoint
ALTER TABLE relabelling ADD COLUMN member_name text;

-- planned -> calling -> accepted | refused | in_doubt -> accepted; withheld: stopped before anything left
CREATE TABLE outcome_message (
    message_id   uuid PRIMARY KEY,
    case_id      uuid NOT NULL REFERENCES feedback_case,
    state        text NOT NULL CHECK (state IN ('planned', 'calling', 'accepted', 'refused', 'in_doubt', 'withheld')),
    words_sealed bytea,                  -- gone once the fate is known; the case keeps its own
    kept_sealed  bytea,                  -- what the local outbox holds, where nothing is sent to anybody
    by_subject   text NOT NULL,
    by_name      text NOT NULL,
    written_at   timestamptz NOT NULL,
    due_at       timestamptz NOT NULL,
    fence        int NOT NULL DEFAULT 0, -- counts the attempts
    lease_until  timestamptz,
    reason       text,
    settled_at   timestamptz
);
-- One message of a case at a time.
CREATE UNIQUE INDEX outcome_message_on_its_way ON outcome_message (case_id) WHERE state IN ('planned', 'calling');
CREATE INDEX outcome_message_of_case ON outcome_message (case_id, written_at);

-- `kvittera send --pause` holds these messages too.
CREATE TABLE sending (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    is_on   boolean NOT NULL
);
INSERT INTO sending (is_on) VALUES (true);
