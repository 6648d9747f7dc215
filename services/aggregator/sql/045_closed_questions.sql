-- Closed months say of further questions how often each value was given, and never change.

-- Every answer to a further question in every unit of its delivery, where it counts. The index is of people who
-- answered all three of its questions: the sum of the three. People get no figures of their own.
CREATE VIEW said AS
WITH placed AS (
    SELECT q.local_hour, n.cut, n.value, q.said
    FROM question AS q JOIN answer AS a USING (response_id) CROSS JOIN LATERAL unnest(a.units) AS u (unit)
    JOIN unit AS n ON n.id = u.unit
    WHERE NOT a.contested AND a.series IS NULL AND n.cut NOT LIKE '-%'
      AND NOT 'driver' = ANY (string_to_array(n.cut, '.'))
)
SELECT p.local_hour, p.cut, p.value, v.key AS question, v.value::int AS given
FROM placed AS p CROSS JOIN LATERAL jsonb_each_text(p.said) AS v
UNION ALL
SELECT local_hour, cut, value, 'index',
       (said ->> 'satisfaction')::int + (said ->> 'expectancy')::int + (said ->> 'ideal')::int
FROM placed WHERE said ?& ARRAY['satisfaction', 'expectancy', 'ideal'];

CREATE TABLE closed_question (
    month    int NOT NULL,
    revision int NOT NULL,
    cut      text NOT NULL,
    value    text NOT NULL,
    question text NOT NULL,
    given    int NOT NULL, -- a value of the answer
    answers  int NOT NULL,
    PRIMARY KEY (month, revision, cut, value, question, given),
    FOREIGN KEY (month, revision) REFERENCES closed_month
);

CREATE TRIGGER closed_question_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON closed_question
FOR EACH STATEMENT EXECUTE FUNCTION stay_as_closed();
