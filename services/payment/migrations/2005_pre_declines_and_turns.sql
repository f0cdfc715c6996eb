-- migrate:up

-- Declines were counted from `version`, which counts every state event: a debit on its way counted as one.
ALTER TABLE payments ADD COLUMN declines integer NOT NULL DEFAULT 0, ADD COLUMN declined_charge text;
COMMENT ON COLUMN payments.declines IS 'how often a bank declined it; a debit that failed days later is none';
COMMENT ON COLUMN payments.declined_charge IS 'Stripe''s charge that the newest decline left: the same one counts once';

-- The sweeper asked about the same fifty cards without details every fifteen seconds. Now each card has its turn.
ALTER TABLE payment_methods ADD COLUMN checked_at timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN payment_methods.checked_at IS 'when the sweeper last asked Stripe for its details';
CREATE INDEX payment_methods_unchecked ON payment_methods (checked_at)
    WHERE kind = 'card' AND last4 IS NULL AND removed_at IS NULL;
DROP INDEX payment_methods_undetailed;

-- migrate:down
