-- migrate:up

-- The session whose visitor typed the password shows and confirms what it set up, as long as it lasts. Null from an older
-- gateway: such a set-up begins again.
ALTER TABLE second_factor_setups ADD COLUMN session_hash bytea CHECK (octet_length(session_hash) = 32);
GRANT UPDATE (session_hash) ON second_factor_setups TO app_api;

-- migrate:down
