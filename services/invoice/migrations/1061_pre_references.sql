-- migrate:up

-- What others know a clinic, a client or an invoice by, and the numbers that a document shows (ADR 0028).
ALTER TABLE clinics
    ADD COLUMN tax_number text NOT NULL DEFAULT '' CHECK (length(tax_number) <= 50),
    ADD COLUMN external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object');
ALTER TABLE clients
    ADD COLUMN tax_number text NOT NULL DEFAULT '' CHECK (length(tax_number) <= 50),
    ADD COLUMN external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object');
ALTER TABLE invoices
    ADD COLUMN external_id text CHECK (length(external_id) BETWEEN 1 AND 200),
    ADD COLUMN location text NOT NULL DEFAULT '' CHECK (length(location) <= 200);
-- What may name a person is where it is erased with the name.
ALTER TABLE invoice_identities
    ADD COLUMN tax_number text NOT NULL DEFAULT '' CHECK (length(tax_number) <= 50),
    ADD COLUMN insurer_reference text NOT NULL DEFAULT '' CHECK (length(insurer_reference) <= 100),
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object');

CREATE UNIQUE INDEX clinics_external_id ON clinics (external_id);
CREATE UNIQUE INDEX clients_external_id ON clients (clinic_id, external_id);
CREATE UNIQUE INDEX invoices_external_id ON invoices (clinic_id, external_id);

ALTER TABLE clients
    ADD CONSTRAINT references_end_with_the_name CHECK (
        erased_at IS NULL OR (tax_number = '' AND external_id IS NULL AND metadata = '{}')
    ) NOT VALID;
ALTER TABLE invoice_identities
    ADD CONSTRAINT references_end_with_the_name CHECK (
        erased_at IS NULL OR (tax_number = '' AND insurer_reference = '' AND metadata = '{}')
    ) NOT VALID;
ALTER TABLE clients VALIDATE CONSTRAINT references_end_with_the_name;
ALTER TABLE invoice_identities VALIDATE CONSTRAINT references_end_with_the_name;

GRANT UPDATE (tax_number, external_id, metadata) ON clients TO app_worker;
GRANT UPDATE (tax_number, insurer_reference, metadata) ON invoice_identities TO app_worker;

-- migrate:down
