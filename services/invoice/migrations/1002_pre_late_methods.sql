-- migrate:up
-- How a payment was made may become known before its movement is here, or after. What is known early waits in
-- invoice_payments; a movement of a payment takes it, once, and else stays as it was booked.
ALTER TABLE invoice_payments
    ADD COLUMN method_kind text,
    ADD COLUMN method_brand text,
    ADD COLUMN method_last4 text,
    DROP CONSTRAINT invoice_payments_state_check,
    -- 'succeeded': the money is taken, and its movement is not here yet. It leaves the invoice as it is.
    ADD CONSTRAINT invoice_payments_state_check
        CHECK (state IN ('processing', 'failed', 'canceled', 'succeeded', 'settled')) NOT VALID;
ALTER TABLE invoice_payments VALIDATE CONSTRAINT invoice_payments_state_check;

GRANT UPDATE (method_kind, method_brand, method_last4) ON movements TO app_worker;

-- migrate:down
