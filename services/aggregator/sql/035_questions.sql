-- Answers to further questions, by their names. Where an answer counts, and whether, its own row says.
CREATE TABLE question (
    response_id uuid PRIMARY KEY,
    local_hour  int NOT NULL,  -- as in the answer's row, so that the last weeks are found
    said        jsonb NOT NULL -- such as {"ease": 4, "recommend": 9}
);

CREATE INDEX question_hour ON question (local_hour);
