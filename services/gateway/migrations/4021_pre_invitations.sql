-- migrate:up

-- An invitation's link is for an address that has no login yet.
ALTER TABLE links DROP CONSTRAINT links_purpose_check,
    ADD CONSTRAINT links_purpose_check CHECK (purpose IN ('reset', 'invitation')),
    ADD CONSTRAINT links_login_check CHECK ((login_id IS NULL) = (purpose = 'invitation')),
    ALTER COLUMN login_id DROP NOT NULL;

-- Which client of which clinic a link invites to the portal; `made_by` as in logins. The newest one counts.
CREATE TABLE invitations (
    clinic_id uuid NOT NULL,
    client_id uuid NOT NULL,
    link_id uuid NOT NULL UNIQUE,
    made_by uuid NOT NULL,
    ends_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (clinic_id, client_id)
);
CREATE INDEX invitations_by_end ON invitations (ends_at);
ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON invitations TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY operator ON invitations TO app_api
    USING ((SELECT current_setting('app.operator', true)) = 'on')
    WITH CHECK ((SELECT current_setting('app.operator', true)) = 'on');
GRANT SELECT, INSERT, UPDATE (link_id, made_by, ends_at), DELETE ON invitations TO app_api;

-- migrate:down
