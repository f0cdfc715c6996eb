-- migrate:up

-- Logins change their e-mail address by a link to the new one, and end all their sessions at once.
ALTER TABLE links DROP CONSTRAINT links_purpose_check,
    ADD CONSTRAINT links_purpose_check CHECK (purpose IN ('reset', 'invitation', 'new_email'));
ALTER TABLE sessions DROP CONSTRAINT sessions_ended_for_check,
    ADD CONSTRAINT sessions_ended_for_check CHECK (ended_for IN ('password', 'everywhere'));
GRANT UPDATE (email) ON logins TO app_api;

-- migrate:down
