-- What is known beside deliveries when a request is about to leave, and what has left lately.

-- How a person wants to be asked, as last said; the survey and the notifier both tell, so the moment decides.
CREATE TABLE preference (
    person        bytea PRIMARY KEY CHECK (length(person) = 16),
    never         boolean NOT NULL,
    most_per_year int,
    only_channel  text,
    changed_at    timestamptz NOT NULL
);

CREATE TABLE disruption (
    disruption_id text PRIMARY KEY,
    revision      int NOT NULL,
    state         text NOT NULL,
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz,
    message       json NOT NULL -- the whole record: areas, policy and words
);
CREATE INDEX disruption_open ON disruption (starts_at) WHERE state IN ('planned', 'active');

-- One row for each thing that turned out otherwise: what came last is known in any order of arrival.
CREATE TABLE correction (
    delivery_id text NOT NULL,
    what        text NOT NULL,
    revision    int NOT NULL,
    facts       json, -- facts_corrected only
    PRIMARY KEY (delivery_id, what)
);

-- Deliveries that a person has said something about; nobody reminds of them.
CREATE TABLE answered (
    delivery_id text PRIMARY KEY,
    contested   boolean NOT NULL
);

-- A delivery's reminder has the link of its request, and so the same hash.
ALTER TABLE invitation DROP CONSTRAINT invitation_token_sha256_key;
CREATE UNIQUE INDEX invitation_token ON invitation (token_sha256) WHERE kind = 'ask';

-- Each channel has its own turn, so that one that waits for its cap holds back no other.
DROP INDEX invitation_due;
CREATE INDEX invitation_due ON invitation (channel, due_at) WHERE state = 'planned';
