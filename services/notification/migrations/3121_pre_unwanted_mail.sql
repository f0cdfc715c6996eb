-- migrate:up

-- Kinds of e-mails that a client does not want (ADR 0056). By client, as contacts are.
CREATE TABLE unwanted_mail (
    clinic_id uuid NOT NULL,
    client_id uuid NOT NULL,
    template text NOT NULL CHECK (template IN ('invoice_ready', 'reminder')),
    PRIMARY KEY (clinic_id, client_id, template)
);
ALTER TABLE unwanted_mail ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON unwanted_mail TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON unwanted_mail TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, DELETE ON unwanted_mail TO app_api;
GRANT SELECT ON unwanted_mail TO app_worker;

-- migrate:down
