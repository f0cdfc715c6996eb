-- migrate:up

-- Addresses that a portal had before: they lead to it for ever, and no other clinic gets them (ADR 0029).
CREATE TABLE former_slugs (
    slug text PRIMARY KEY,
    clinic_id uuid NOT NULL REFERENCES portals (clinic_id),
    left_at timestamptz NOT NULL DEFAULT app_now()
);
ALTER TABLE former_slugs ENABLE ROW LEVEL SECURITY;
ALTER TABLE former_slugs FORCE ROW LEVEL SECURITY;
CREATE POLICY looked_up ON former_slugs FOR SELECT TO app_api USING (true);
CREATE POLICY added ON former_slugs FOR INSERT TO app_api
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY taken_back ON former_slugs FOR DELETE TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
GRANT SELECT, INSERT, DELETE ON former_slugs TO app_api;

-- A portal that is renamed keeps its former address, also by an earlier version that runs beside this one.
CREATE FUNCTION keep_former_slug() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM former_slugs WHERE slug = NEW.slug AND clinic_id = NEW.clinic_id;
    INSERT INTO former_slugs (slug, clinic_id) VALUES (OLD.slug, OLD.clinic_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_former_slug AFTER UPDATE OF slug ON portals
    FOR EACH ROW WHEN (OLD.slug <> NEW.slug) EXECUTE FUNCTION keep_former_slug();

-- migrate:down
