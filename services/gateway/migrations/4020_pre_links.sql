-- migrate:up

-- Requests for a new password as they were typed. A job looks for the login afterwards, so that a request takes as long
-- for an address without a login.
CREATE TABLE reset_requests (
    id uuid PRIMARY KEY,
    email text NOT NULL CHECK (length(email) <= 254),
    target text NOT NULL CHECK (length(target) <= 500),
    created_at timestamptz NOT NULL DEFAULT app_now()
);
GRANT SELECT, INSERT, UPDATE (created_at), DELETE ON reset_requests TO app_api;

-- Links that were e-mailed, as long as they work. Like logins and sessions they are looked up before any clinic is known,
-- by a hash.
CREATE TABLE links (
    id uuid PRIMARY KEY,
    purpose text NOT NULL CHECK (purpose IN ('reset')),
    login_id uuid NOT NULL REFERENCES logins (id) ON DELETE CASCADE,
    email text NOT NULL CHECK (length(email) <= 254),
    ends_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX links_of_login ON links (login_id);
CREATE INDEX links_by_end ON links (ends_at);
GRANT SELECT, INSERT, UPDATE (ends_at), DELETE ON links TO app_api;

-- SHA-256 of the tokens that open a link: one for each try to hand its letter over, of which notification kept one.
CREATE TABLE link_tokens (
    token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    link_id uuid NOT NULL REFERENCES links (id) ON DELETE CASCADE
);
CREATE INDEX link_tokens_of_link ON link_tokens (link_id);
GRANT SELECT, INSERT, DELETE ON link_tokens TO app_api;

-- E-mails about logins, until notification has them. `path` has a mark in place of the link's token.
CREATE TABLE letters (
    id uuid PRIMARY KEY,
    clinic_id uuid NOT NULL,
    template text NOT NULL,
    email text NOT NULL CHECK (length(email) <= 254),
    path text NOT NULL,
    link_id uuid,
    tries integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX letters_due ON letters (next_at);
ALTER TABLE letters ENABLE ROW LEVEL SECURITY;
ALTER TABLE letters FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON letters TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY operator ON letters TO app_api
    USING ((SELECT current_setting('app.operator', true)) = 'on')
    WITH CHECK ((SELECT current_setting('app.operator', true)) = 'on');
GRANT SELECT, INSERT, UPDATE (tries, next_at), DELETE ON letters TO app_api;

-- migrate:down
