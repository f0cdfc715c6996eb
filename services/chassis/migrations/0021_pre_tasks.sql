-- migrate:up

-- The queue: work that is due at a time, added in the transaction of its cause (ADR 0036). `reason` is a code: why a task
-- is tried again or waits, or how it ended. No names, addresses or texts are in a payload.
CREATE TABLE tasks (
    clinic_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind ~ '^[a-z_.]{1,60}$'),
    key uuid NOT NULL,
    payload jsonb,
    traceparent text,
    state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'done', 'failed', 'canceled')),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    claimed_until timestamptz,
    reason text,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    ended_at timestamptz,
    PRIMARY KEY (clinic_id, kind, key),
    CHECK ((state = 'due') = (ended_at IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX tasks_due ON tasks (due_at) WHERE state = 'due';
CREATE INDEX tasks_ended ON tasks (ended_at) WHERE state <> 'due';

ALTER TABLE tasks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON tasks TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON tasks TO app_worker USING (true) WITH CHECK (true);
CREATE POLICY ended ON tasks AS RESTRICTIVE FOR DELETE TO app_worker USING (state <> 'due');
-- Requests add, cancel and hasten tasks; the worker claims and ends them.
GRANT SELECT, INSERT, UPDATE (state, due_at, reason, ended_at) ON tasks TO app_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON tasks TO app_worker;

-- migrate:down
