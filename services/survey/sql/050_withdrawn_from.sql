-- Where praise stood when its answer became no praise any more: it comes back there, declined or disputed as before.
ALTER TABLE praise ADD COLUMN withdrawn_from text;
