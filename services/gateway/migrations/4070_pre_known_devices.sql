-- migrate:up

-- Browsers that opened a login are known to it by a cookie that names this number. A new password and "log out
-- everywhere" raise it, and no earlier cookie is worth anything from then on.
ALTER TABLE logins ADD COLUMN device_generation integer NOT NULL DEFAULT 0;
GRANT UPDATE (device_generation) ON logins TO app_api;

-- migrate:down
