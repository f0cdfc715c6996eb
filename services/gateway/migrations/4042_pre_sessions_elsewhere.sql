-- migrate:up

-- A login's owner ends one session from another device.
ALTER TABLE sessions DROP CONSTRAINT sessions_ended_for_check,
    ADD CONSTRAINT sessions_ended_for_check CHECK (ended_for IN ('password', 'everywhere', 'elsewhere'));

-- migrate:down
