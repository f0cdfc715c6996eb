-- migrate:up

-- A dispute of a payment at the payer's bank (ADR 0043): the newest state that Stripe told, and what is booked of it.
CREATE TABLE disputes (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    stripe_dispute_id text NOT NULL,
    charge_id text,
    status text NOT NULL CHECK (status IN ('warning_needs_response', 'warning_under_review', 'warning_closed',
        'needs_response', 'under_review', 'won', 'lost', 'prevented', 'charge_refunded')),
    reason text,
    amount bigint NOT NULL CHECK (amount >= 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    due_by timestamptz,
    has_evidence boolean NOT NULL DEFAULT false,
    submissions integer NOT NULL DEFAULT 0,
    credit_amount bigint NOT NULL DEFAULT 0 CHECK (credit_amount >= 0),
    rest_amount bigint NOT NULL DEFAULT 0,
    reopened boolean,
    version integer NOT NULL DEFAULT 0,
    opened_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, id),
    UNIQUE (clinic_id, stripe_dispute_id),
    FOREIGN KEY (clinic_id, payment_id) REFERENCES payments
);
COMMENT ON COLUMN disputes.due_by IS 'until when the bank takes evidence; NULL: it takes none';
COMMENT ON COLUMN disputes.credit_amount IS 'what it took, and has not given back, of credit that its payment left';
COMMENT ON COLUMN disputes.rest_amount IS 'what it took above all that was kept of its payment';
COMMENT ON COLUMN disputes.reopened IS 'whether its loss made the invoices due again; NULL while it is not lost';
COMMENT ON COLUMN disputes.seen_at IS 'Stripe''s time of the newest state applied';
COMMENT ON COLUMN disputes.checked_at IS 'when the sweeper last asked Stripe; -infinity: to be asked at once';
CREATE INDEX disputes_payment ON disputes (clinic_id, payment_id);
CREATE INDEX disputes_due ON disputes (clinic_id, due_by, id);
CREATE INDEX disputes_unchecked ON disputes (checked_at);

-- What a dispute took of each invoice that its payment settled. Guarded by the lock of the dispute's row.
CREATE TABLE dispute_shares (
    clinic_id uuid NOT NULL,
    dispute_id uuid NOT NULL,
    payable_id uuid NOT NULL,
    taken_amount bigint NOT NULL CHECK (taken_amount >= 0),
    reopened_amount bigint NOT NULL DEFAULT 0 CHECK (reopened_amount >= 0),
    PRIMARY KEY (clinic_id, dispute_id, payable_id),
    FOREIGN KEY (clinic_id, dispute_id) REFERENCES disputes,
    FOREIGN KEY (clinic_id, payable_id) REFERENCES payables
);
COMMENT ON COLUMN dispute_shares.taken_amount IS 'taken by the bank, and not due again';
COMMENT ON COLUMN dispute_shares.reopened_amount IS 'taken by the bank, and due again since the dispute is lost';

-- Stripe's balance transactions of a dispute: each is booked once, when its payment is booked.
CREATE TABLE dispute_transactions (
    clinic_id uuid NOT NULL,
    id text NOT NULL,
    dispute_id uuid NOT NULL,
    amount bigint NOT NULL,
    fee bigint NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    made_at timestamptz NOT NULL,
    booked_at timestamptz,
    PRIMARY KEY (clinic_id, id),
    FOREIGN KEY (clinic_id, dispute_id) REFERENCES disputes
);
COMMENT ON TABLE dispute_transactions IS 'amounts and fees as Stripe settles them: perhaps in another currency';
CREATE INDEX dispute_transactions_dispute ON dispute_transactions (clinic_id, dispute_id);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['disputes', 'dispute_shares', 'dispute_transactions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($policy$CREATE POLICY clinic ON %I TO app_api
            USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
            WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))$policy$, name);
        EXECUTE format('CREATE POLICY every_clinic ON %I TO app_worker USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON %I TO app_api', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO app_worker', name);
    END LOOP;
END
$$;

-- An account's disputes are listed once a day: no event may have come of one.
ALTER TABLE account_states ADD COLUMN disputes_listed_at timestamptz NOT NULL DEFAULT '-infinity';

-- Whether a lost dispute makes its invoices due again.
ALTER TABLE clinics ADD COLUMN lost_dispute_reopens boolean NOT NULL DEFAULT false;

-- dispute: the bank took the money. dispute_returned: it came back. dispute_reopened: lost, and due again.
ALTER TABLE entries DROP CONSTRAINT entries_effect_check,
    ADD CONSTRAINT entries_effect_check CHECK (effect IN ('capture', 'excess', 'refund', 'refund_paid',
        'refund_credited', 'refund_returned', 'dispute', 'dispute_fee', 'dispute_returned', 'dispute_reopened')) NOT VALID;
ALTER TABLE entries VALIDATE CONSTRAINT entries_effect_check;
ALTER TABLE postings DROP CONSTRAINT postings_account_check,
    ADD CONSTRAINT postings_account_check CHECK (account IN ('stripe', 'receivable', 'client_credit',
        'refund_pending', 'refunded', 'disputed', 'disputed_rest', 'dispute_fee')) NOT VALID;
ALTER TABLE postings VALIDATE CONSTRAINT postings_account_check;

-- migrate:down
