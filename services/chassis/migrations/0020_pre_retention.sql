-- migrate:up

-- Every table has a retention (services/*/retention.py): a job deletes what is older, by these indexes.
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
CREATE POLICY old_ones ON idempotency_keys TO app_worker USING (true);
GRANT SELECT, UPDATE (answer), DELETE ON idempotency_keys TO app_worker;
CREATE INDEX parked_resolved ON parked (resolved_at) WHERE state IN ('replayed', 'superseded');
GRANT DELETE ON parked TO app_worker;
-- A decision of an operator stays.
CREATE POLICY decided ON parked AS RESTRICTIVE FOR DELETE TO app_worker USING (state IN ('replayed', 'superseded'));

-- migrate:down
