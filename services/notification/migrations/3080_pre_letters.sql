-- migrate:up

-- E-mails about a login, such as the link to choose a new password. The gateway asks for them and names the address.
-- `email` and `path`, where the link leads in the portal, are there only until the letter is sent or given up.
CREATE TABLE letters (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    template text NOT NULL CHECK (template IN ('password_reset', 'password_changed')),
    email text CHECK (length(email) <= 254 AND email !~ '[[:cntrl:][:space:]]'),
    path text CHECK (length(path) <= 500),
    ends_at timestamptz,
    state text NOT NULL DEFAULT 'due' CHECK (state IN ('waiting', 'due', 'sent', 'failed', 'dropped')),
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    ended_at timestamptz,
    PRIMARY KEY (clinic_id, id),
    CHECK ((state IN ('waiting', 'due')) = (ended_at IS NULL)),
    CHECK (ended_at IS NULL OR (email IS NULL AND path IS NULL))
);
CREATE INDEX letters_ended ON letters (ended_at) WHERE state IN ('sent', 'failed', 'dropped');

ALTER TABLE letters ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON letters TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON letters TO app_worker USING (true) WITH CHECK (true);
CREATE POLICY ended ON letters AS RESTRICTIVE FOR DELETE TO app_worker
    USING (state IN ('sent', 'failed', 'dropped'));
GRANT SELECT, INSERT ON letters TO app_api;
GRANT SELECT, UPDATE, DELETE ON letters TO app_worker;

-- migrate:down
