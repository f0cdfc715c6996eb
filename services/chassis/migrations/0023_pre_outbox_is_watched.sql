-- migrate:up

-- A worker says how much waits for the relay, and for how long: it lives on when the relay does not. It reads no event.
CREATE POLICY watched ON outbox FOR SELECT TO app_worker USING (true);
GRANT SELECT (seq, created_at) ON outbox TO app_worker;

-- migrate:down
