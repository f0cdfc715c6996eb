-- migrate:up
-- The clients whom one address reaches, such as a family's. A column of its own, since row-level security allows no index
-- on lower(email): the function might leak.
ALTER TABLE contacts ADD COLUMN email_lower text NOT NULL GENERATED ALWAYS AS (lower(email)) STORED;
CREATE INDEX contacts_of_email ON contacts (clinic_id, email_lower, client_id);

-- migrate:down
