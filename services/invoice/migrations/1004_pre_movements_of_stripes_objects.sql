-- migrate:up

-- One object of Stripe's moves money on an invoice once for each kind, whatever id the movement comes under.
ALTER TABLE movements ADD COLUMN stripe_object_id text;
COMMENT ON COLUMN movements.stripe_object_id IS 'Stripe''s object that moved the money; NULL: booked before this was kept';
CREATE UNIQUE INDEX movements_of_stripes_object ON movements (clinic_id, invoice_id, stripe_object_id, kind)
    WHERE stripe_object_id IS NOT NULL;

-- migrate:down
