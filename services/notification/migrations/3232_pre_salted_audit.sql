-- migrate:up

-- The audit log keeps a hash of a contact's state for ever. The salt in it goes with the contact (ADR 0013): without it
-- nobody can try addresses.
ALTER TABLE contacts ADD COLUMN salt uuid NOT NULL DEFAULT gen_random_uuid();

-- migrate:down
