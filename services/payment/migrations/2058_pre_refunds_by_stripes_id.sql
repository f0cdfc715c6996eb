-- migrate:up

-- `verify` looks for refunds that were made at Stripe by Stripe's id, of all clinics of an account.
CREATE INDEX refunds_by_stripes_id ON refunds (stripe_refund_id) WHERE made_at = 'stripe';

-- migrate:down
