-- Which version of the file of cuts is counted, and which one is being built.
ALTER TABLE counting
    ADD COLUMN file_version int NOT NULL DEFAULT 0, -- 0: a file that tells none
    ADD COLUMN next_file_version int;               -- after the next switch; NULL: nothing is being built
