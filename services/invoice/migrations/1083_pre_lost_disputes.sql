-- migrate:up

-- Whether an invoice is due again when a dispute of its payment is lost. The payment service decides by it.
ALTER TABLE clinics ADD COLUMN lost_dispute_reopens boolean NOT NULL DEFAULT false;

-- migrate:down
