-- migrate:up

-- One correction at a time is held for an invoice (ADR 0037): no other document is made of it meanwhile.
CREATE UNIQUE INDEX held_acts_of_invoice ON held_acts (clinic_id, subject_id)
    WHERE state = 'held' AND kind IN ('void', 'credit_note', 'write_off');

-- The worker makes documents when they are due.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['clinics', 'invoice_lines', 'credit_note_counters', 'invoice_documents',
                                'invoice_document_taxes', 'invoice_document_lines'] LOOP
        EXECUTE format('CREATE POLICY every_clinic ON %I TO app_worker USING (true) WITH CHECK (true)', name);
    END LOOP;
END
$$;
GRANT SELECT ON clinics, invoice_lines TO app_worker;
GRANT SELECT, INSERT, UPDATE ON credit_note_counters TO app_worker;
GRANT SELECT, INSERT ON invoice_documents, invoice_document_taxes, invoice_document_lines TO app_worker;
GRANT UPDATE (credited_amount, written_off_amount) ON invoices TO app_worker;

-- migrate:down
