-- migrate:up

-- Passkeys of logins: public keys, found by the id that an authenticator names. Like logins they hold no clinic's data.
-- `sign_count` is the authenticator's own count, which never goes back.
CREATE TABLE passkeys (
    id uuid PRIMARY KEY,
    login_id uuid NOT NULL REFERENCES logins (id) ON DELETE CASCADE,
    credential_id bytea NOT NULL UNIQUE CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
    public_key bytea NOT NULL CHECK (octet_length(public_key) <= 2048),
    sign_count bigint NOT NULL CHECK (sign_count >= 0),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 40),
    created_at timestamptz NOT NULL DEFAULT app_now(),
    used_at timestamptz
);
CREATE INDEX passkeys_of_login ON passkeys (login_id);
GRANT SELECT, INSERT, UPDATE (sign_count, used_at), DELETE ON passkeys TO app_api;

-- The challenge for a new one: of the session in which the password was typed, and used up by the first answer.
CREATE TABLE passkey_setups (
    login_id uuid PRIMARY KEY REFERENCES logins (id) ON DELETE CASCADE,
    session_hash bytea NOT NULL CHECK (octet_length(session_hash) = 32),
    challenge bytea NOT NULL CHECK (octet_length(challenge) = 32),
    ends_at timestamptz NOT NULL
);
CREATE INDEX passkey_setups_by_end ON passkey_setups (ends_at);
GRANT SELECT, INSERT, UPDATE (session_hash, challenge, ends_at), DELETE ON passkey_setups TO app_api;

-- `passkey`: a browser that was given a challenge to log in with.
ALTER TABLE login_steps
    ADD COLUMN challenge bytea CHECK (octet_length(challenge) = 32),
    DROP CONSTRAINT login_steps_kind_check,
    ADD CONSTRAINT login_steps_kind_check CHECK (kind IN ('address', 'second', 'code', 'passkey')),
    ADD CONSTRAINT login_steps_challenge_given CHECK ((challenge IS NOT NULL) = (kind = 'passkey'));

-- migrate:down
