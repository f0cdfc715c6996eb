-- migrate:up

-- Rows begin at the service's time, see chassis migration 0007.
ALTER TABLE portals ALTER COLUMN created_at SET DEFAULT app_now();
ALTER TABLE logins ALTER COLUMN created_at SET DEFAULT app_now();
ALTER TABLE memberships ALTER COLUMN created_at SET DEFAULT app_now();
ALTER TABLE sessions ALTER COLUMN created_at SET DEFAULT app_now();
ALTER TABLE api_keys ALTER COLUMN created_at SET DEFAULT app_now();
ALTER TABLE key_uses ALTER COLUMN created_at SET DEFAULT app_now();
ALTER TABLE operations ALTER COLUMN created_at SET DEFAULT app_now();

-- migrate:down
