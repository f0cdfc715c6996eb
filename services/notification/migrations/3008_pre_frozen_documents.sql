-- migrate:up

-- Letters about an invoice name its seller and write sums and days as the document does (ADR 0028); '' is not known.
ALTER TABLE invoices
    ADD COLUMN seller_name text NOT NULL DEFAULT '',
    ADD COLUMN locale text NOT NULL DEFAULT '',
    ADD COLUMN time_zone text NOT NULL DEFAULT '';
-- The owner has no policy of its own.
ALTER TABLE clinics NO FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
UPDATE invoices SET seller_name = clinics.name, locale = clinics.locale, time_zone = clinics.time_zone
    FROM clinics WHERE clinics.clinic_id = invoices.clinic_id;
ALTER TABLE clinics FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;

-- migrate:down
