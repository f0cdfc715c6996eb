-- migrate:up

-- Sessions end by idleness or for good; both are looked for every ten minutes.
CREATE INDEX sessions_by_last_end ON sessions (ends_at);

-- migrate:down
