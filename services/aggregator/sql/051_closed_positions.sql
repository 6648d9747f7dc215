-- How far the topics were counted when a month was closed, and by which cuts: so that it can be counted again.

-- Every partition that the figures of a month come from. A revision without rows was closed before they were kept.
CREATE TABLE closed_position (
    month      int NOT NULL,
    revision   int NOT NULL,
    topic      text NOT NULL,
    part       int NOT NULL,
    cluster_id text NOT NULL, -- as in progress: positions say nothing of another topic of the same name
    topic_id   uuid NOT NULL,
    next       bigint NOT NULL,
    PRIMARY KEY (month, revision, topic, part),
    FOREIGN KEY (month, revision) REFERENCES closed_month
);

CREATE TRIGGER closed_position_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON closed_position
FOR EACH STATEMENT EXECUTE FUNCTION stay_as_closed();

CREATE TABLE closed_cut (
    month    int NOT NULL,
    revision int NOT NULL,
    cut      text NOT NULL,
    windows  int NOT NULL, -- bits, as in counted_cut
    PRIMARY KEY (month, revision, cut),
    FOREIGN KEY (month, revision) REFERENCES closed_month
);

CREATE TRIGGER closed_cut_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON closed_cut
FOR EACH STATEMENT EXECUTE FUNCTION stay_as_closed();
