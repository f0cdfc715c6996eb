-- migrate:up

-- Whether clients may pay before there is an invoice.
ALTER TABLE clinics ADD COLUMN deposits boolean NOT NULL DEFAULT false;

-- migrate:down
