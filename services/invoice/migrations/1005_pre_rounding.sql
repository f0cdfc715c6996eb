-- migrate:up
-- What rounding to the currency's smallest charge added to the total: half of the largest step (100) at most.
ALTER TABLE invoices
    ADD COLUMN rounding_amount bigint NOT NULL DEFAULT 0
        CONSTRAINT rounding_is_small CHECK (rounding_amount BETWEEN -50 AND 50),
    DROP CONSTRAINT total_adds_up,
    ADD CONSTRAINT total_adds_up
        CHECK (total_amount = subtotal_amount + tax_amount + rounding_amount) NOT VALID;
ALTER TABLE invoices VALIDATE CONSTRAINT total_adds_up;

-- migrate:down
