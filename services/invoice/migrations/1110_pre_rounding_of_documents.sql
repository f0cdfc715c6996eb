-- migrate:up

-- A credit note rounds what it leaves of its invoice, so its own rounding may be nearly a whole step of its currency.
ALTER TABLE invoice_documents
    DROP CONSTRAINT invoice_documents_rounding_amount_check,
    ADD CONSTRAINT invoice_documents_rounding_amount_check CHECK (rounding_amount BETWEEN -99 AND 99) NOT VALID;
ALTER TABLE invoice_documents VALIDATE CONSTRAINT invoice_documents_rounding_amount_check;

-- migrate:down
