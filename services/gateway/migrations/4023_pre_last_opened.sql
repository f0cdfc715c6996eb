-- migrate:up

-- The list of a login's clinics begins with the one that it opened last.
ALTER TABLE memberships ADD COLUMN opened_at timestamptz;
GRANT UPDATE (opened_at) ON memberships TO app_api;

-- migrate:down
