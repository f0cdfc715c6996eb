-- migrate:up

-- What a browser has reached of a login, before anybody is logged in: for a few minutes, and found by the hash of its
-- cookie alone. No page but the login's own looks at it.
CREATE TABLE login_steps (
    id_hash bytea PRIMARY KEY CHECK (octet_length(id_hash) = 32),
    kind text NOT NULL CHECK (kind IN ('address')),
    email text NOT NULL CHECK (length(email) <= 254),
    ends_at timestamptz NOT NULL
);
CREATE INDEX login_steps_by_end ON login_steps (ends_at);
GRANT SELECT, INSERT, UPDATE (ends_at), DELETE ON login_steps TO app_api;

-- migrate:down
