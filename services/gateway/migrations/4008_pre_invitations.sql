-- migrate:up

-- The person behind a login that existed before must accept a further membership before it opens anything: an e-mail
-- address may be mistyped. Memberships that were open before stay open.
ALTER TABLE memberships
    ADD COLUMN accepted_at timestamptz DEFAULT app_now(),
    ADD COLUMN declined_at timestamptz,
    ADD CONSTRAINT memberships_answer CHECK (accepted_at IS NULL OR declined_at IS NULL);
ALTER TABLE memberships ALTER COLUMN accepted_at DROP DEFAULT;
GRANT UPDATE (accepted_at, declined_at) ON memberships TO app_api;

-- migrate:down
