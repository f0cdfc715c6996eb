-- migrate:up

-- Rows begin at the service's time, see chassis migration 0007.
ALTER TABLE clinics ALTER COLUMN changed_at SET DEFAULT app_now();
ALTER TABLE clients ALTER COLUMN created_at SET DEFAULT app_now();
ALTER TABLE clients ALTER COLUMN changed_at SET DEFAULT app_now();
ALTER TABLE invoices ALTER COLUMN created_at SET DEFAULT app_now();
ALTER TABLE invoices ALTER COLUMN changed_at SET DEFAULT app_now();

-- migrate:down
