-- migrate:up

-- Which payments it is time to ask Stripe about was found by going through all live ones and their reservations, every
-- fifteen seconds: with a million of them half a core. Now an index names those whose turn it is.

-- A payment's turn: when a tenth of its age has passed since it was last asked about. As time since 1970, for PostgreSQL
-- takes no sum of a moment and an interval for immutable.
CREATE INDEX payments_due ON payments (((checked_at - timestamptz 'epoch') + (checked_at - created_at) / 9))
    WHERE status IN ('created', 'requires_action', 'processing', 'failed');
DROP INDEX payments_live;

-- Set with what it tells of: those of before wait for their turn, when their sums are compared in any case.
ALTER TABLE allocations ADD COLUMN overdrawn boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN allocations.overdrawn IS 'while open: it reserves more than is open of the payable by now';
CREATE INDEX allocations_overdrawn ON allocations (clinic_id, payment_id) WHERE state = 'open' AND overdrawn;

-- migrate:down
