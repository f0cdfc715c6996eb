-- migrate:up

-- How often a client has pressed Pay in the hour that ends at `ends_at`. The sweep deletes what has ended.
CREATE TABLE starts (
    clinic_id uuid NOT NULL,
    client_id uuid NOT NULL,
    tries integer NOT NULL,
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, client_id)
);
CREATE INDEX starts_by_end ON starts (ends_at);

ALTER TABLE starts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON starts TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON starts TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON starts TO app_api;
GRANT SELECT, DELETE ON starts TO app_worker;

-- migrate:down
