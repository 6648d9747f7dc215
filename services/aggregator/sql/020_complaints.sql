-- Follow-up cases as far as the public page counts them, by the local month of the delivery; names nobody.

CREATE TABLE complaint (
    case_id     text PRIMARY KEY,
    revision    int NOT NULL,
    month       int NOT NULL, -- months since 1970-01 on the clock of the delivery's zone
    cause       text,         -- missing until staff has judged
    attribution text,
    viewpoint   boolean NOT NULL -- a general viewpoint is no complaint about one item (EN 14012)
);

CREATE INDEX complaint_month ON complaint (month);

-- What a revision of a closed month says of complaints. Rows only ever come.
CREATE TABLE closed_complaint (
    month       int NOT NULL,
    revision    int NOT NULL,
    cause       text NOT NULL, -- empty: staff has not judged yet
    attribution text NOT NULL,
    complaints  int NOT NULL,
    PRIMARY KEY (month, revision, cause, attribution),
    FOREIGN KEY (month, revision) REFERENCES closed_month
);

CREATE TRIGGER closed_complaint_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON closed_complaint
FOR EACH STATEMENT EXECUTE FUNCTION stay_as_closed();
