-- migrate:up

-- What a Stripe account can do, from Stripe's events and answers. '' is the platform's own.
CREATE TABLE account_states (
    account text PRIMARY KEY,
    problem text CHECK (problem IN ('no_access', 'charges_disabled', 'no_way_to_pay')),
    disabled_reason text,
    ways text[] NOT NULL DEFAULT '{card,redirect}',
    seen_at timestamptz NOT NULL DEFAULT 'epoch',
    checked_at timestamptz NOT NULL DEFAULT '-infinity',
    changed_at timestamptz NOT NULL DEFAULT '-infinity'
);
COMMENT ON COLUMN account_states.ways IS 'ways to pay that it can charge; all while nothing is known';
COMMENT ON COLUMN account_states.seen_at IS 'Stripe''s time of the newest state applied';
COMMENT ON COLUMN account_states.checked_at IS 'when Stripe was last asked; -infinity: to be asked at once';
GRANT SELECT, INSERT, UPDATE ON account_states TO app_api, app_worker;

-- What was published about the clinic's account: account.updated.
ALTER TABLE accounts
    ADD COLUMN takes_payments boolean NOT NULL DEFAULT true,
    ADD COLUMN version integer NOT NULL DEFAULT 0,
    ADD COLUMN published_at timestamptz;
GRANT INSERT, UPDATE ON accounts TO app_worker;

-- migrate:down
