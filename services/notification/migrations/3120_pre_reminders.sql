-- migrate:up

-- Reminders of unpaid invoices (ADR 0054): a clinic's plan, when an invoice was issued, what a bank has of it, and how far
-- the plan was followed.
ALTER TABLE clinics ADD COLUMN reminders smallint[] NOT NULL DEFAULT '{}';
CREATE INDEX clinics_that_remind ON clinics (clinic_id) WHERE reminders <> '{}';
ALTER TABLE invoices ADD COLUMN issued_on date;
CREATE INDEX invoices_to_remind ON invoices (clinic_id, due_on, id)
    WHERE status IN ('unpaid', 'part_paid') AND NOT being_checked;

-- The newest state of each dispute. `invoice_ids`: of these the bank has money.
CREATE TABLE disputes (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    version integer NOT NULL,
    is_open boolean NOT NULL,
    invoice_ids uuid[] NOT NULL,
    PRIMARY KEY (clinic_id, id)
);
CREATE INDEX disputes_open ON disputes USING gin (invoice_ids) WHERE is_open;

-- The day and the plan for which a clinic's reminders were queued last.
CREATE TABLE reminder_runs (
    clinic_id uuid PRIMARY KEY,
    done_on date NOT NULL,
    reminders smallint[] NOT NULL
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['disputes', 'reminder_runs'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY every_clinic ON %I TO app_worker USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO app_worker', name);
    END LOOP;
END
$$;

ALTER TABLE deliveries DROP CONSTRAINT deliveries_template_check,
    ADD CONSTRAINT deliveries_template_check CHECK (
        template IN ('invoice_ready', 'receipt', 'payment_failed', 'refund', 'credit_note', 'invoice_voided',
            'dispute_opened', 'dispute_ended', 'reminder')
    ) NOT VALID;
ALTER TABLE deliveries VALIDATE CONSTRAINT deliveries_template_check;

-- migrate:down
