-- migrate:up

-- Who asked for a new password: SHA-256 of the typed e-mail and the sender's address of the network, under which letters
-- are counted in `attempts`. Null from an older gateway.
ALTER TABLE reset_requests ADD COLUMN asker bytea CHECK (octet_length(asker) = 32);

-- migrate:down
