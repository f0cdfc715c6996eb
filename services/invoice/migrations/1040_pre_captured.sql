-- migrate:up

-- A payment's day is when Stripe captured it, not when we booked it. NULL: booked before this was published.
ALTER TABLE movements ADD COLUMN captured_at timestamptz;

-- migrate:down
