-- migrate:up

-- `root_id` is the first key of a line: a rolled key stands for the same asker, so ids and idempotency keys stay.
ALTER TABLE api_keys ADD COLUMN root_id uuid;
ALTER TABLE api_keys ADD COLUMN prefix text NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN from_settings boolean NOT NULL DEFAULT false;
ALTER TABLE api_keys ADD COLUMN expires_at timestamptz;
ALTER TABLE api_keys ADD COLUMN replaced_by uuid;
ALTER TABLE api_keys ADD COLUMN last_used_at timestamptz;

CREATE POLICY operator_changes ON api_keys FOR UPDATE TO app_api
    USING ((SELECT current_setting('app.operator', true)) = 'on')
    WITH CHECK ((SELECT current_setting('app.operator', true)) = 'on');
GRANT UPDATE (revoked_at, expires_at, replaced_by, last_used_at, from_settings) ON api_keys TO app_api;

-- Which API key let a login in: those of the demo's key are for the demo alone. Null: made before this was kept.
ALTER TABLE logins ADD COLUMN made_by uuid;
GRANT UPDATE (disabled_at) ON logins TO app_api;

-- migrate:down
