-- migrate:up

-- A refund may give back what settled invoices (ADR 0044). Each share is of one invoice; the rest of its amount is credit.
ALTER TABLE refunds ADD COLUMN destination text NOT NULL DEFAULT 'method'
    CHECK (destination IN ('method', 'credit'));
COMMENT ON COLUMN refunds.destination IS 'method: to where the payment came from. credit: it is the client''s credit, and Stripe is not asked';

CREATE TABLE refund_shares (
    clinic_id uuid NOT NULL,
    refund_id uuid NOT NULL,
    payable_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    PRIMARY KEY (clinic_id, refund_id, payable_id),
    FOREIGN KEY (clinic_id, refund_id) REFERENCES refunds,
    FOREIGN KEY (clinic_id, payable_id) REFERENCES payables
);
ALTER TABLE refund_shares ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON refund_shares TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON refund_shares TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON refund_shares TO app_api, app_worker;

-- refunded: what was given back of a receivable. refund_credited: the refund became its client's credit.
ALTER TABLE entries DROP CONSTRAINT entries_effect_check,
    ADD CONSTRAINT entries_effect_check CHECK (
        effect IN ('capture', 'excess', 'refund', 'refund_paid', 'refund_credited', 'refund_returned')
    ) NOT VALID;
ALTER TABLE entries VALIDATE CONSTRAINT entries_effect_check;
ALTER TABLE postings DROP CONSTRAINT postings_account_check,
    ADD CONSTRAINT postings_account_check
        CHECK (account IN ('stripe', 'receivable', 'client_credit', 'refund_pending', 'refunded')) NOT VALID,
    DROP CONSTRAINT postings_check1,
    ADD CONSTRAINT postings_of_payables
        CHECK ((account IN ('receivable', 'refunded')) = (payable_id IS NOT NULL)) NOT VALID;
ALTER TABLE postings VALIDATE CONSTRAINT postings_account_check;
ALTER TABLE postings VALIDATE CONSTRAINT postings_of_payables;

-- The api sets aside what goes back, and gives it back when Stripe refuses. It still books no money that Stripe took or
-- gave.
GRANT UPDATE (returned_amount) ON payables TO app_api;
GRANT INSERT ON movements TO app_api;
DROP POLICY only_credit ON entries;
CREATE POLICY only_refunds ON entries AS RESTRICTIVE FOR INSERT TO app_api
    WITH CHECK (effect IN ('refund', 'refund_credited', 'refund_returned'));
DROP POLICY only_credit ON postings;
CREATE POLICY only_refunds ON postings AS RESTRICTIVE FOR INSERT TO app_api
    WITH CHECK (account IN ('client_credit', 'refund_pending', 'refunded'));
CREATE POLICY only_refunds ON movements AS RESTRICTIVE FOR INSERT TO app_api
    WITH CHECK (kind = 'refund');

-- migrate:down
