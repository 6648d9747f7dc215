-- Links of invitations that were put aside: they are ours, and lead somewhere once the dead letter is replayed.
CREATE TABLE unread_link (
    token_sha256 bytea PRIMARY KEY,
    put_aside_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
