-- migrate:up

ALTER TABLE payments DROP CONSTRAINT payments_kind_check,
    ADD CONSTRAINT payments_kind_check CHECK (kind IN ('card', 'saved', 'redirect', 'debit'));

-- `ways` also holds Stripe's types of bank debit. What is kept of an account knows of none until Stripe is asked again.
ALTER TABLE account_states ALTER COLUMN ways SET DEFAULT '{card,redirect,debit,sepa_debit,us_bank_account}';

-- What a client agreed to, with its text and time: to the debit of a bank account, or to later charges of a method.
CREATE TABLE consents (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    account text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('debit', 'off_session')),
    version text NOT NULL,
    locale text NOT NULL,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 4000),
    agreed_at timestamptz NOT NULL,
    payment_id uuid,
    payment_method_id uuid,
    withdrawn_at timestamptz,
    PRIMARY KEY (clinic_id, id),
    FOREIGN KEY (clinic_id, payment_method_id) REFERENCES payment_methods,
    CHECK (withdrawn_at IS NULL OR payment_method_id IS NOT NULL)
);
COMMENT ON COLUMN consents.account IS 'the Stripe account; '''' is the platform''s own';
COMMENT ON COLUMN consents.payment_id IS 'the payment with which it was given; no reference: canceled payments are deleted';
COMMENT ON COLUMN consents.withdrawn_at IS 'when the method was removed, and so the consent ended';
CREATE INDEX consents_unlinked ON consents (clinic_id, client_id, account)
    WHERE kind = 'off_session' AND payment_method_id IS NULL;
CREATE INDEX consents_method ON consents (clinic_id, payment_method_id) WHERE payment_method_id IS NOT NULL;

ALTER TABLE consents ENABLE ROW LEVEL SECURITY;
ALTER TABLE consents FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON consents TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON consents TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT ON consents TO app_api, app_worker;
GRANT INSERT ON consents TO app_api;
GRANT UPDATE (payment_method_id, withdrawn_at) ON consents TO app_api, app_worker;

-- migrate:down
