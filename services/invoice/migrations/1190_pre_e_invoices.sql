-- migrate:up

-- The seller's address in parts, and whether documents are e-invoices too (ADR 0062).
ALTER TABLE clinics
    ADD COLUMN postal_address jsonb NOT NULL DEFAULT '{"lines": [], "postcode": "", "city": "", "country": ""}'
        CHECK (jsonb_typeof(postal_address) = 'object'),
    ADD COLUMN e_invoices boolean NOT NULL DEFAULT false;

-- migrate:down
