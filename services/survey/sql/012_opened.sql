-- When a person first touched the page of an invitation without having answered.
ALTER TABLE invitation ADD COLUMN opened_at timestamptz;
