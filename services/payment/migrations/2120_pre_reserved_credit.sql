-- migrate:up

-- A payment may use the client's credit with a charge (ADR 0049). The credit is reserved while the share is open.
ALTER TABLE allocations
    ADD COLUMN credit_amount bigint NOT NULL DEFAULT 0 CHECK (credit_amount >= 0),
    ADD COLUMN used_credit_amount bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT used_credit_was_reserved CHECK (
        used_credit_amount BETWEEN 0 AND credit_amount AND (used_credit_amount = 0 OR state = 'settled')
    ) NOT VALID;
COMMENT ON COLUMN allocations.credit_amount IS 'the client''s credit for this payable, beside amount: reserved while open';
COMMENT ON COLUMN allocations.used_credit_amount IS 'the part of credit_amount that settled the payable with the charge';
ALTER TABLE allocations VALIDATE CONSTRAINT used_credit_was_reserved;
CREATE INDEX allocations_credit ON allocations (clinic_id, payment_id) WHERE state = 'open' AND credit_amount > 0;

-- credit_reserved: set aside for a payment. credit_released: the client's again.
ALTER TABLE entries DROP CONSTRAINT entries_effect_check,
    ADD CONSTRAINT entries_effect_check CHECK (effect IN ('capture', 'record', 'record_reversed', 'credit_used',
        'credit_reserved', 'credit_released', 'cash_closed', 'excess', 'refund', 'refund_paid', 'refund_credited',
        'refund_returned', 'dispute', 'dispute_fee', 'dispute_returned', 'dispute_reopened')) NOT VALID;
ALTER TABLE entries VALIDATE CONSTRAINT entries_effect_check;
ALTER TABLE postings DROP CONSTRAINT postings_account_check,
    ADD CONSTRAINT postings_account_check CHECK (account IN ('stripe', 'receivable', 'client_credit', 'credit_reserved',
        'refund_pending', 'refunded', 'cash', 'terminal', 'bank', 'insurer', 'cash_difference', 'disputed',
        'disputed_rest', 'dispute_fee')) NOT VALID;
ALTER TABLE postings VALIDATE CONSTRAINT postings_account_check;

-- The api reserves credit with a payment that it starts, and releases it with one that it gives up.
DROP POLICY nothing_of_stripes ON entries;
CREATE POLICY nothing_of_stripes ON entries AS RESTRICTIVE FOR INSERT TO app_api
    WITH CHECK (effect IN ('refund', 'refund_credited', 'refund_returned', 'record', 'record_reversed', 'credit_used',
        'credit_reserved', 'credit_released', 'cash_closed'));

-- migrate:down
