-- migrate:up

-- Which account a clinic had when: a payment whose row was lost is booked to the clinic only if it was charged there.
-- Kept for ever.
CREATE TABLE account_choices (
    clinic_id uuid NOT NULL,
    chosen_at timestamptz NOT NULL,
    stripe_account_id text,
    PRIMARY KEY (clinic_id, chosen_at)
);
COMMENT ON COLUMN account_choices.stripe_account_id IS 'NULL: no account of its own, so the platform''s';
ALTER TABLE account_choices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON account_choices TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON account_choices TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON account_choices TO app_api, app_worker;

ALTER TABLE accounts NO FORCE ROW LEVEL SECURITY;
ALTER TABLE account_choices NO FORCE ROW LEVEL SECURITY;
INSERT INTO account_choices (clinic_id, chosen_at, stripe_account_id)
    SELECT clinic_id, '-infinity', stripe_account_id FROM accounts;
ALTER TABLE accounts FORCE ROW LEVEL SECURITY;
ALTER TABLE account_choices FORCE ROW LEVEL SECURITY;

CREATE FUNCTION keep_account_choice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO account_choices (clinic_id, chosen_at, stripe_account_id)
        VALUES (NEW.clinic_id, clock_timestamp(), NEW.stripe_account_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER kept AFTER INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION keep_account_choice();
CREATE TRIGGER kept_again AFTER UPDATE ON accounts FOR EACH ROW
    WHEN (OLD.stripe_account_id IS DISTINCT FROM NEW.stripe_account_id) EXECUTE FUNCTION keep_account_choice();

-- The worker adds rows that were lost in a restore, read from Stripe.
GRANT INSERT ON payments, allocations, refunds TO app_worker;
CREATE POLICY adopts ON audit FOR INSERT TO app_worker
    WITH CHECK (role = 'operator' AND action = 'adopt_payment');

-- Turns for events about lost rows: each is tried again after a while, and none keeps the others from their turn.
ALTER TABLE parked ADD COLUMN tried_at timestamptz NOT NULL DEFAULT '-infinity';
GRANT UPDATE (tried_at) ON parked TO app_worker;
CREATE INDEX parked_lost_rows ON parked (tried_at)
    WHERE state = 'waiting' AND reason IN ('stripe_unknown_payment', 'stripe_unknown_refund');

-- What the topics showed of payments whose rows a restore lost: the next version is above it.
CREATE TABLE published_versions (
    clinic_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    PRIMARY KEY (clinic_id, payment_id)
);
ALTER TABLE published_versions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY every_clinic ON published_versions TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT ON published_versions TO app_worker;

-- Invoices that a restore lost, of which the topics speak: nothing is booked to them any more.
CREATE TABLE lost_payables (
    clinic_id uuid NOT NULL,
    payable_id uuid NOT NULL,
    PRIMARY KEY (clinic_id, payable_id)
);
ALTER TABLE lost_payables ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY every_clinic ON lost_payables TO app_worker USING (true);
GRANT SELECT ON lost_payables TO app_worker;

-- migrate:down
