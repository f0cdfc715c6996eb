-- migrate:up

-- The generation of an invoice's pay links: the ones of an earlier generation end (ADR 0051).
ALTER TABLE invoices ADD COLUMN pay_link_generation integer NOT NULL DEFAULT 0 CHECK (pay_link_generation >= 0);
GRANT UPDATE (pay_link_generation) ON invoices TO app_api;

-- Whether e-mails lead to a page that takes a payment without a login.
ALTER TABLE clinics ADD COLUMN pay_links boolean NOT NULL DEFAULT true;

-- migrate:down
