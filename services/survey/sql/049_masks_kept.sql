-- Numbers of the words of the comment that held the name of a contact wish which has gone: they stay masked.
ALTER TABLE response ADD COLUMN masked_words int[];
