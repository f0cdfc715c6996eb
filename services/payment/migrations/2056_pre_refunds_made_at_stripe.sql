-- migrate:up

-- Where a refund was made: here, or in Stripe's dashboard. The latter is booked once Stripe tells of it.
ALTER TABLE refunds ADD COLUMN made_at text NOT NULL DEFAULT 'clinicpay' CHECK (made_at IN ('clinicpay', 'stripe'));

-- An account's refunds are listed once a day: no event may have come of one.
ALTER TABLE account_states ADD COLUMN refunds_listed_at timestamptz NOT NULL DEFAULT '-infinity';

-- migrate:down
