-- The message whose report called the address hopeless: should it arrive after all, the address is not.
ALTER TABLE unreachable ADD COLUMN invitation_id uuid;
