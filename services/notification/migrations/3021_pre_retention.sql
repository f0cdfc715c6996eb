-- migrate:up

CREATE INDEX deliveries_by_age ON deliveries (created_at) WHERE state IN ('sent', 'failed', 'dropped');
GRANT DELETE ON deliveries TO app_worker;
CREATE POLICY ended ON deliveries AS RESTRICTIVE FOR DELETE TO app_worker
    USING (state IN ('sent', 'failed', 'dropped'));

-- migrate:down
