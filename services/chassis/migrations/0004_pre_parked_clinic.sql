-- migrate:up

-- Whose event is parked; NULL when it could not be read. A movement that names another clinic's aggregate must
-- not hold back that clinic's own.
ALTER TABLE parked ADD COLUMN clinic_id uuid;
ALTER TABLE parked ENABLE ROW LEVEL SECURITY;
ALTER TABLE parked FORCE ROW LEVEL SECURITY;
CREATE POLICY every_clinic ON parked TO app_worker USING (true) WITH CHECK (true);

-- migrate:down
