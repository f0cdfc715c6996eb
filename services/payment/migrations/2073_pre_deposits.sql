-- migrate:up

ALTER TABLE clinics ADD COLUMN deposits boolean NOT NULL DEFAULT false;
ALTER TABLE payments ADD COLUMN deposit boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN payments.deposit IS 'paid before there is an invoice: it has no allocations, and becomes credit whole';

-- The newest choice of a deposit, as `payables.choice` is of an invoice: the row is also the lock of a client's deposits.
ALTER TABLE starts ADD COLUMN choice bytea CHECK (length(choice) = 32);

-- Of a payment, the consent that it was begun with.
CREATE INDEX consents_payment ON consents (clinic_id, payment_id) WHERE payment_id IS NOT NULL;

-- migrate:down
