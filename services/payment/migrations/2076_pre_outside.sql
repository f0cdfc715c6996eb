-- migrate:up

-- Money that the clinic took outside Stripe, and credit that a client used, are payments too: without an intent.
ALTER TABLE payments
    DROP CONSTRAINT payments_kind_check,
    ADD CONSTRAINT payments_kind_check CHECK (
        kind IN ('card', 'saved', 'redirect', 'debit', 'cash', 'terminal', 'bank_transfer', 'insurer', 'credit')
    ) NOT VALID;
ALTER TABLE payments VALIDATE CONSTRAINT payments_kind_check;

-- A client's invoices in the order in which money pays them.
CREATE INDEX payables_of_client ON payables (clinic_id, client_id, due_on, id);

CREATE TABLE cash_closings (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    location text NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    expected_amount bigint NOT NULL,
    counted_amount bigint NOT NULL CHECK (counted_amount >= 0),
    note text NOT NULL,
    closed_by text NOT NULL,
    closed_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, id)
);
CREATE INDEX cash_closings_of_clinic ON cash_closings (clinic_id, id DESC);

CREATE TABLE recorded_payments (
    clinic_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    location text NOT NULL,
    reference text NOT NULL,
    recorded_by text NOT NULL,
    on_behalf_of text NOT NULL,
    closing_id uuid,
    reversed_at timestamptz,
    reversal_reason text,
    reversal_closing_id uuid,
    PRIMARY KEY (clinic_id, payment_id),
    FOREIGN KEY (clinic_id, payment_id) REFERENCES payments,
    FOREIGN KEY (clinic_id, closing_id) REFERENCES cash_closings,
    FOREIGN KEY (clinic_id, reversal_closing_id) REFERENCES cash_closings,
    CONSTRAINT reversed_with_a_reason CHECK ((reversed_at IS NULL) = (reversal_reason IS NULL))
);
COMMENT ON COLUMN recorded_payments.closing_id IS 'the count of cash that holds it; NULL: not counted yet, or no cash';
CREATE INDEX recorded_payments_to_count ON recorded_payments (clinic_id, location)
    WHERE closing_id IS NULL OR (reversed_at IS NOT NULL AND reversal_closing_id IS NULL);

ALTER TABLE entries
    ALTER COLUMN payment_id DROP NOT NULL,
    DROP CONSTRAINT entries_effect_check,
    ADD CONSTRAINT entries_effect_check CHECK (effect IN ('capture', 'record', 'record_reversed', 'credit_used',
        'cash_closed', 'excess', 'refund', 'refund_paid', 'refund_credited', 'refund_returned',
        'dispute', 'dispute_fee', 'dispute_returned', 'dispute_reopened')) NOT VALID,
    ADD CONSTRAINT of_a_payment CHECK ((payment_id IS NULL) = (effect = 'cash_closed')) NOT VALID;
ALTER TABLE entries VALIDATE CONSTRAINT entries_effect_check;
ALTER TABLE entries VALIDATE CONSTRAINT of_a_payment;
ALTER TABLE postings DROP CONSTRAINT postings_account_check,
    ADD CONSTRAINT postings_account_check CHECK (account IN ('stripe', 'receivable', 'client_credit', 'refund_pending',
        'refunded', 'cash', 'terminal', 'bank', 'insurer', 'cash_difference', 'disputed', 'disputed_rest', 'dispute_fee')) NOT VALID;
ALTER TABLE postings VALIDATE CONSTRAINT postings_account_check;

-- Staff record money that the clinic took itself, with the api's role. It still books nothing that Stripe took or gave.
DROP POLICY only_refunds ON entries;
CREATE POLICY nothing_of_stripes ON entries AS RESTRICTIVE FOR INSERT TO app_api
    WITH CHECK (effect IN ('refund', 'refund_credited', 'refund_returned', 'record', 'record_reversed', 'credit_used', 'cash_closed'));
DROP POLICY only_refunds ON postings;
CREATE POLICY nothing_of_stripes ON postings AS RESTRICTIVE FOR INSERT TO app_api WITH CHECK (account <> 'stripe');
GRANT UPDATE (settled_amount) ON payables TO app_api;
DROP POLICY only_refunds ON movements;
CREATE POLICY nothing_of_stripes ON movements AS RESTRICTIVE FOR INSERT TO app_api
    WITH CHECK (kind IN ('refund', 'payment', 'credit', 'reversal'));

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['cash_closings', 'recorded_payments'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($policy$CREATE POLICY clinic ON %I TO app_api
            USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
            WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))$policy$, name);
        EXECUTE format('CREATE POLICY every_clinic ON %I TO app_worker USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO app_api', name);
        EXECUTE format('GRANT SELECT ON %I TO app_worker', name);
    END LOOP;
END
$$;
GRANT UPDATE (expected_amount, counted_amount) ON cash_closings TO app_api;
GRANT UPDATE (closing_id, reversed_at, reversal_reason, reversal_closing_id) ON recorded_payments TO app_api;

-- migrate:down
