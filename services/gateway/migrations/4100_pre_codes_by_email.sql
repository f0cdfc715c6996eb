-- migrate:up

-- `code`: a browser whose visitor asked for a code by e-mail, and has shown nothing yet. Its key changes when the same
-- browser asks again.
ALTER TABLE login_steps
    DROP CONSTRAINT login_steps_kind_check,
    ADD CONSTRAINT login_steps_kind_check CHECK (kind IN ('address', 'second', 'code')),
    DROP CONSTRAINT login_steps_login_check,
    ADD CONSTRAINT login_steps_login_check CHECK ((login_id IS NOT NULL) = (kind = 'second'));
GRANT UPDATE (id_hash) ON login_steps TO app_api;

-- Requests for a code too: they name the step of the browser that asked, and the logins that know this browser.
ALTER TABLE reset_requests
    ADD COLUMN step_hash bytea CHECK (octet_length(step_hash) = 32),
    ADD COLUMN devices bytea[] NOT NULL DEFAULT '{}';

-- A link of a code opens in the browser that asked alone, and ends with its step.
ALTER TABLE links
    ADD COLUMN step_hash bytea REFERENCES login_steps (id_hash) ON UPDATE CASCADE ON DELETE CASCADE,
    DROP CONSTRAINT links_purpose_check,
    ADD CONSTRAINT links_purpose_check CHECK (purpose IN ('reset', 'invitation', 'new_email', 'login_code')),
    ADD CONSTRAINT links_step_check CHECK ((step_hash IS NOT NULL) = (purpose = 'login_code'));
CREATE INDEX links_of_step ON links (step_hash);

-- The code that may be typed in place of its token: its HMAC with a key from the settings, since a short code could be
-- found from a plain hash.
ALTER TABLE link_tokens ADD COLUMN code_hash bytea CHECK (octet_length(code_hash) = 32);

-- migrate:down
