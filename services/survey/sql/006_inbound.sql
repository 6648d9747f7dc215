-- A reply by text message names its sender only: the person's latest open invitation is what it answers.
CREATE INDEX invitation_person ON invitation (person_id, expires_at DESC) WHERE person_id IS NOT NULL;
