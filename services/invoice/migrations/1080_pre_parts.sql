-- migrate:up

-- The smallest part of an invoice that clients may pay, in minor units of the clinic's currency. NULL: no parts.
ALTER TABLE clinics ADD COLUMN least_part bigint CHECK (least_part > 0);

-- migrate:down
