-- migrate:up

-- The audit log keeps a hash of a client's state for ever. The salt in it goes with the name (ADR 0013): without it nobody
-- can try names.
ALTER TABLE clients ADD COLUMN salt uuid DEFAULT gen_random_uuid();
GRANT UPDATE (salt) ON clients TO app_worker;

-- migrate:down
