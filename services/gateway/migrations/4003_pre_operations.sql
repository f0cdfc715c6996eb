-- migrate:up

-- A public request that writes to several services, while it is under way. The row is deleted by the transaction that
-- ends it, so nothing personal in `plan` outlives the request. A row that its process left behind is taken over.
CREATE TABLE operations (
    id uuid PRIMARY KEY,
    clinic_id uuid NOT NULL,
    -- The clinic or client that is written: one operation at a time on each.
    subject_id uuid NOT NULL,
    -- The API key on whose behalf it writes.
    actor uuid NOT NULL,
    role text NOT NULL CHECK (role IN ('operator', 'staff')),
    -- Its use of an idempotency key (key_uses), which ends with it when the request is refused.
    key text,
    plan text NOT NULL,
    -- The portal's address that it keeps for its clinic.
    slug text UNIQUE,
    undoing boolean NOT NULL DEFAULT false,
    tries integer NOT NULL DEFAULT 0,
    held_until timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (clinic_id, subject_id)
);
CREATE UNIQUE INDEX operations_key ON operations (actor, key);
CREATE INDEX operations_due ON operations (next_at);
ALTER TABLE operations ENABLE ROW LEVEL SECURITY;
ALTER TABLE operations FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON operations TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY operator ON operations TO app_api
    USING ((SELECT current_setting('app.operator', true)) = 'on')
    WITH CHECK ((SELECT current_setting('app.operator', true)) = 'on');
GRANT SELECT, INSERT, UPDATE, DELETE ON operations TO app_api;

-- A person may be several of a clinic's clients (a family), or work there and be a client too.
ALTER TABLE memberships
    DROP CONSTRAINT memberships_pkey,
    ADD CONSTRAINT memberships_places UNIQUE NULLS NOT DISTINCT (clinic_id, login_id, client_id);

-- migrate:down
