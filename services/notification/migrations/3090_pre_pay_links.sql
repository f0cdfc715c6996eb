-- migrate:up

-- E-mails lead to a page that takes a payment without a login, where the clinic has that (ADR 0051).
ALTER TABLE clinics ADD COLUMN pay_links boolean NOT NULL DEFAULT true;
ALTER TABLE invoices ADD COLUMN pay_link_generation integer NOT NULL DEFAULT 0;

-- migrate:down
