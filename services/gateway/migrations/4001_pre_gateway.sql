-- migrate:up

-- What stands where, and why row-level security is not the same on each table:
--   * logins, sessions, attempts and key uses hold no clinic's data and are looked up before any clinic is known;
--     what guards them is that they are found only by an exact e-mail, a hash, or an id that came from one.
--   * portals and API keys lead to a clinic, so anybody may look them up, but only an operator's transaction (or the
--     clinic's own) may write them.
--   * memberships say which clinic's data a login reaches: seen by that login or that clinic, written by the clinic
--     or an operator. `app.login` is set by the gateway in the transaction that reads them.

CREATE TABLE portals (
    clinic_id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE portals ENABLE ROW LEVEL SECURITY;
ALTER TABLE portals FORCE ROW LEVEL SECURITY;
CREATE POLICY looked_up ON portals FOR SELECT TO app_api USING (true);
CREATE POLICY added ON portals FOR INSERT TO app_api
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY renamed ON portals FOR UPDATE TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
GRANT SELECT, INSERT, UPDATE (slug) ON portals TO app_api;

CREATE TABLE logins (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE CHECK (length(email) BETWEEN 3 AND 254),
    password_hash text NOT NULL,
    -- The clinic whose API key chose the password; null for an operator's. Such a clinic knows the password,
    -- so the login opens no other clinic until an operator has set another one (see memberships.active).
    password_by uuid,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE (password_hash, password_by) ON logins TO app_api;

CREATE TABLE memberships (
    clinic_id uuid NOT NULL REFERENCES portals (clinic_id),
    login_id uuid NOT NULL REFERENCES logins (id) ON DELETE CASCADE,
    client_id uuid,
    role text NOT NULL CHECK (role IN ('client', 'staff')),
    active boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (clinic_id, login_id),
    CHECK ((role = 'client') = (client_id IS NOT NULL))
);
CREATE INDEX memberships_of_login ON memberships (login_id);
ALTER TABLE memberships ENABLE ROW LEVEL SECURITY;
ALTER TABLE memberships FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON memberships TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY own ON memberships FOR SELECT TO app_api
    USING (login_id = (SELECT nullif(current_setting('app.login', true), '')::uuid));
CREATE POLICY operator ON memberships TO app_api
    USING ((SELECT current_setting('app.operator', true)) = 'on')
    WITH CHECK ((SELECT current_setting('app.operator', true)) = 'on');
GRANT SELECT, INSERT, UPDATE (active) ON memberships TO app_api;

CREATE TABLE sessions (
    -- SHA-256 of the cookie: who reads this table cannot use what it holds.
    id_hash bytea PRIMARY KEY CHECK (octet_length(id_hash) = 32),
    data jsonb NOT NULL,
    login_id uuid GENERATED ALWAYS AS ((data ->> 'login_id')::uuid) STORED
        REFERENCES logins (id) ON DELETE CASCADE,
    idle_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sessions_of_login ON sessions (login_id);
CREATE INDEX sessions_by_end ON sessions (idle_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO app_api;

-- Tries at something that is limited, such as passwords. The key is a hash: no e-mail or address stands here.
CREATE TABLE attempts (
    key bytea PRIMARY KEY CHECK (octet_length(key) = 32),
    tries integer NOT NULL,
    ends_at timestamptz NOT NULL
);
CREATE INDEX attempts_by_end ON attempts (ends_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON attempts TO app_api;

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    key_hash bytea NOT NULL UNIQUE CHECK (octet_length(key_hash) = 32),
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('operator', 'clinic')),
    clinic_id uuid REFERENCES portals (clinic_id),
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((role = 'clinic') = (clinic_id IS NOT NULL))
);
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY looked_up ON api_keys FOR SELECT TO app_api USING (true);
CREATE POLICY operator ON api_keys FOR INSERT TO app_api
    WITH CHECK ((SELECT current_setting('app.operator', true)) = 'on');
GRANT SELECT, INSERT ON api_keys TO app_api;

-- Which body an idempotency key came with, for what the gateway composes from several services' idempotent calls.
CREATE TABLE key_uses (
    api_key_id uuid NOT NULL REFERENCES api_keys (id),
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (api_key_id, key)
);
CREATE INDEX key_uses_by_age ON key_uses (created_at);
GRANT SELECT, INSERT, DELETE ON key_uses TO app_api;

-- migrate:down
