-- The latest day of each watched cut that alarms were looked for on: every day is judged once.
CREATE TABLE judged_day (
    cut text PRIMARY KEY,
    day int NOT NULL -- days since 1970-01-01 on the clock of the deliveries
);
