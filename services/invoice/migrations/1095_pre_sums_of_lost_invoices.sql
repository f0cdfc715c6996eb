-- migrate:up

-- The sums that were published when a lost invoice was issued: payment keeps them for ever. Null if none were.
ALTER TABLE lost_invoices
    ADD COLUMN net_amount bigint,
    ADD COLUMN tax_amount bigint,
    ADD COLUMN rounding_amount bigint,
    ADD COLUMN total_amount bigint;

-- migrate:down
