-- migrate:up

-- Rows begin at the service's time, see chassis migration 0007.
ALTER TABLE contacts ALTER COLUMN updated_at SET DEFAULT app_now();
ALTER TABLE deliveries ALTER COLUMN next_attempt_at SET DEFAULT app_now();
ALTER TABLE deliveries ALTER COLUMN created_at SET DEFAULT app_now();

-- migrate:down
