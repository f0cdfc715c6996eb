-- migrate:up

-- Whether a clinic's Stripe account can take payments. From account.updated, newest version wins. A clinic without a
-- row can.
CREATE TABLE clinic_accounts (
    clinic_id uuid PRIMARY KEY,
    version integer NOT NULL,
    takes_payments boolean NOT NULL
);
ALTER TABLE clinic_accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON clinic_accounts TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON clinic_accounts TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT ON clinic_accounts TO app_api, app_worker;
GRANT INSERT, UPDATE ON clinic_accounts TO app_worker;

-- migrate:down
