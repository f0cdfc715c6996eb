-- migrate:up

-- A replacement (a credit note over the rest and a new invoice) is held too: one correction at a time for an invoice.
DROP INDEX held_acts_of_invoice;
CREATE UNIQUE INDEX held_acts_of_invoice ON held_acts (clinic_id, subject_id)
    WHERE state = 'held' AND kind IN ('void', 'credit_note', 'write_off', 'replacement');

-- The worker issues the new invoice when it is due, addressed to its client.
CREATE POLICY every_clinic ON invoice_counters TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON invoice_counters TO app_worker;
GRANT INSERT ON invoices, invoice_lines, invoice_identities TO app_worker;
GRANT SELECT (name, billing_address, tax_number) ON clients TO app_worker;

-- migrate:down
