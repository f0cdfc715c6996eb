-- migrate:up

-- Acts that wait until they are due and can be undone until then (ADR 0037). Their schedule is a row of `tasks`.
-- `request` and `preview` hold ids, amounts, dates and codes; `preview_hash` is of what the preview says will be posted.
CREATE TABLE held_acts (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind ~ '^[a-z_]{1,50}$'),
    subject_id uuid NOT NULL,
    request jsonb NOT NULL,
    preview jsonb NOT NULL,
    preview_hash bytea NOT NULL CHECK (octet_length(preview_hash) = 32),
    actor uuid NOT NULL,
    role text NOT NULL CHECK (role IN ('staff', 'operator')),
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'done', 'undone', 'canceled', 'changed')),
    reason text,
    result_id uuid,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    due_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by uuid,
    PRIMARY KEY (clinic_id, id),
    CHECK ((state = 'held') = (ended_at IS NULL)),
    CHECK ((state = 'done') = (result_id IS NOT NULL))
);
CREATE INDEX held_acts_of_subject ON held_acts (clinic_id, subject_id);
CREATE INDEX held_acts_held ON held_acts (clinic_id, id) WHERE state = 'held';
CREATE INDEX held_acts_ended ON held_acts (ended_at) WHERE state <> 'held';

-- What cannot be booked without a person, with its likely cause. One of a kind is open for each subject.
CREATE TABLE exceptions (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind ~ '^[a-z_]{1,60}$'),
    subject_id uuid NOT NULL,
    cause text NOT NULL CHECK (cause ~ '^[A-Za-z0-9_]{1,60}$'),
    detail jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    settled_at timestamptz,
    settled_by uuid,
    settled_how text CHECK (settled_how ~ '^[a-z_]{1,60}$'),
    PRIMARY KEY (clinic_id, id),
    CHECK ((settled_at IS NULL) = (settled_how IS NULL) AND (settled_at IS NULL) = (settled_by IS NULL))
);
CREATE UNIQUE INDEX exceptions_open ON exceptions (clinic_id, kind, subject_id) WHERE settled_at IS NULL;

ALTER TABLE held_acts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE exceptions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON held_acts TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY clinic ON exceptions TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON held_acts TO app_worker USING (true) WITH CHECK (true);
CREATE POLICY every_clinic ON exceptions TO app_worker USING (true) WITH CHECK (true);
CREATE POLICY ended ON held_acts AS RESTRICTIVE FOR DELETE TO app_worker USING (state <> 'held');

-- What was asked for, by whom and with which preview is never changed.
GRANT SELECT, INSERT, UPDATE (state, reason, result_id, ended_at, ended_by) ON held_acts TO app_api, app_worker;
GRANT DELETE ON held_acts TO app_worker;
GRANT SELECT, INSERT, UPDATE (settled_at, settled_by, settled_how) ON exceptions TO app_api, app_worker;

-- migrate:down
