-- migrate:up

-- An app's codes as a login's second factor. `sealed` is the secret that the app has too, encrypted with a key from the
-- settings; `sealed_by` says which, so that a job seals again what an earlier key sealed. `used_step` is the newest of the
-- 30 seconds of which a code was accepted: no code of it or before is accepted again.
-- Like logins these rows hold no clinic's data, and are found by an id that came from a session or a password.
CREATE TABLE second_factors (
    login_id uuid PRIMARY KEY REFERENCES logins (id) ON DELETE CASCADE,
    sealed bytea NOT NULL,
    sealed_by bytea NOT NULL CHECK (octet_length(sealed_by) = 8),
    used_step bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now()
);
GRANT SELECT, INSERT, UPDATE (sealed, sealed_by, used_step), DELETE ON second_factors TO app_api;

-- The same secret before its owner has confirmed that the app has it.
CREATE TABLE second_factor_setups (
    login_id uuid PRIMARY KEY REFERENCES logins (id) ON DELETE CASCADE,
    sealed bytea NOT NULL,
    ends_at timestamptz NOT NULL
);
CREATE INDEX second_factor_setups_by_end ON second_factor_setups (ends_at);
GRANT SELECT, INSERT, UPDATE (sealed, ends_at), DELETE ON second_factor_setups TO app_api;

-- SHA-256 of codes that work once each, in place of the app's. A code that was used is deleted.
CREATE TABLE recovery_codes (
    login_id uuid NOT NULL REFERENCES second_factors (login_id) ON DELETE CASCADE,
    code_hash bytea NOT NULL CHECK (octet_length(code_hash) = 32),
    PRIMARY KEY (login_id, code_hash)
);
GRANT SELECT, INSERT, DELETE ON recovery_codes TO app_api;

-- `second`: a browser whose visitor has shown the first factor of a login.
ALTER TABLE login_steps
    ADD COLUMN login_id uuid REFERENCES logins (id) ON DELETE CASCADE,
    DROP CONSTRAINT login_steps_kind_check,
    ADD CONSTRAINT login_steps_kind_check CHECK (kind IN ('address', 'second')),
    ADD CONSTRAINT login_steps_login_check CHECK ((login_id IS NULL) = (kind = 'address'));
CREATE INDEX login_steps_of_login ON login_steps (login_id);

-- migrate:down
