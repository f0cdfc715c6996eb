-- migrate:up

-- What is due (ADR 0040). returned_amount: what refunds and disputes took of what was settled; it is not due again.
ALTER TABLE payables
    ADD COLUMN returned_amount bigint NOT NULL DEFAULT 0 CHECK (returned_amount >= 0);

-- settled_amount is what the payment settled, for ever: its published event has it. The others say what became of that.
ALTER TABLE allocations
    ADD COLUMN moved_amount bigint NOT NULL DEFAULT 0 CHECK (moved_amount >= 0),
    ADD COLUMN reversed_amount bigint NOT NULL DEFAULT 0 CHECK (reversed_amount >= 0),
    ADD COLUMN refunded_amount bigint NOT NULL DEFAULT 0 CHECK (refunded_amount >= 0),
    ADD COLUMN disputed_amount bigint NOT NULL DEFAULT 0 CHECK (disputed_amount >= 0),
    ADD CONSTRAINT no_more_than_settled CHECK (
        moved_amount + reversed_amount + refunded_amount + disputed_amount <= settled_amount
    ) NOT VALID;
COMMENT ON COLUMN allocations.moved_amount IS 'what became the client''s credit when the invoice''s due fell';
COMMENT ON COLUMN allocations.reversed_amount IS 'what is due again: the payment was taken back';
ALTER TABLE allocations VALIDATE CONSTRAINT no_more_than_settled;

-- excess: what is no longer due on an invoice becomes its client's credit.
ALTER TABLE entries DROP CONSTRAINT entries_effect_check,
    ADD CONSTRAINT entries_effect_check
        CHECK (effect IN ('capture', 'excess', 'refund', 'refund_paid', 'refund_returned')) NOT VALID;
ALTER TABLE entries VALIDATE CONSTRAINT entries_effect_check;
ALTER TABLE movements DROP CONSTRAINT movements_kind_check,
    ADD CONSTRAINT movements_kind_check
        CHECK (kind IN ('payment', 'credit', 'reversal', 'refund', 'dispute')) NOT VALID;
ALTER TABLE movements VALIDATE CONSTRAINT movements_kind_check;

-- migrate:down
