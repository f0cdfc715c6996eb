-- migrate:up

-- Money on its way back to where a payment took it from: only what the payment left as its client's credit.
-- created: ours, booked, and Stripe may not know of it yet. The other states are Stripe's own.
CREATE TABLE refunds (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    status text NOT NULL
        CHECK (status IN ('created', 'pending', 'requires_action', 'succeeded', 'failed', 'canceled')),
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    idempotency_key text NOT NULL UNIQUE,
    stripe_refund_id text,
    failure_reason text,
    traceparent text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    refunded_at timestamptz,
    seen_at timestamptz,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, id),
    UNIQUE (clinic_id, stripe_refund_id),
    FOREIGN KEY (clinic_id, payment_id) REFERENCES payments
);
COMMENT ON COLUMN refunds.idempotency_key IS 'the call''s at Stripe, and the name of the refund''s entries in the ledger';
COMMENT ON COLUMN refunds.refunded_at IS 'when its success was booked; it stays when the refund failed after that';
COMMENT ON COLUMN refunds.seen_at IS 'Stripe''s time of the newest state applied';
COMMENT ON COLUMN refunds.checked_at IS 'when the sweeper last asked Stripe, or the refund was made';
CREATE INDEX refunds_payment ON refunds (clinic_id, payment_id);
CREATE INDEX refunds_client ON refunds (clinic_id, client_id, id DESC);
CREATE INDEX refunds_unchecked ON refunds (checked_at) WHERE status NOT IN ('failed', 'canceled');

ALTER TABLE refunds ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON refunds TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON refunds TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON refunds TO app_api;
GRANT SELECT, UPDATE ON refunds TO app_worker;

-- refund: credit is set aside for it. refund_paid: Stripe has sent it. refund_returned: it is credit again.
ALTER TABLE entries DROP CONSTRAINT entries_effect_check,
    ADD CONSTRAINT entries_effect_check CHECK (effect IN ('capture', 'refund', 'refund_paid', 'refund_returned'));
ALTER TABLE postings DROP CONSTRAINT postings_account_check,
    ADD CONSTRAINT postings_account_check
        CHECK (account IN ('stripe', 'receivable', 'client_credit', 'refund_pending'));

-- The api sets credit aside before it calls Stripe, and gives it back when Stripe refuses. It books nothing else:
-- no money that Stripe took or gave.
GRANT INSERT ON entries, postings TO app_api;
CREATE POLICY only_credit ON entries AS RESTRICTIVE FOR INSERT TO app_api
    WITH CHECK (effect IN ('refund', 'refund_returned'));
CREATE POLICY only_credit ON postings AS RESTRICTIVE FOR INSERT TO app_api
    WITH CHECK (account IN ('client_credit', 'refund_pending'));

-- migrate:down
