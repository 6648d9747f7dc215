-- What is published to a partner is worked out window by window.

-- Answers lie nearly in the order of their hours, so the window's blocks are found by a few kilobytes of index.
CREATE INDEX answer_hours ON answer USING brin (local_hour int4_minmax_multi_ops)
WITH (pages_per_range = 32, autosummarize = on);

CREATE INDEX partner_release_window ON partner_release (partner, time_window);

-- Windows of which nothing can be released, whatever the lot, before something they depend on changes.
CREATE TABLE partner_quiet (
    partner     text NOT NULL REFERENCES partner,
    time_window text NOT NULL,
    mark        bytea NOT NULL, -- of the answers, the rules and the cuts that were looked at
    PRIMARY KEY (partner, time_window)
);
