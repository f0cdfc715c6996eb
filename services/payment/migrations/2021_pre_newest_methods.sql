-- migrate:up

-- Of two events about a method the newer by Stripe's clock counts, and one row a card is shown.
ALTER TABLE payment_methods
    ADD COLUMN fingerprint text,
    ADD COLUMN seen_at timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN doubtful boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN payment_methods.fingerprint IS 'Stripe''s: the same for the same card on one account';
COMMENT ON COLUMN payment_methods.seen_at IS 'Stripe''s time of the newest details applied';
COMMENT ON COLUMN payment_methods.doubtful IS 'two events of one second differ: Stripe is asked';

-- Cards saved before this was kept are asked about once, in their turn.
CREATE INDEX payment_methods_to_ask ON payment_methods (checked_at)
    WHERE kind = 'card' AND removed_at IS NULL AND (last4 IS NULL OR fingerprint IS NULL OR doubtful);
DROP INDEX payment_methods_unchecked;

-- migrate:down
