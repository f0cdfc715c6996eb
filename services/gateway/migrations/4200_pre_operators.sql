-- migrate:up

-- Who may log in to the operators' console. It is a process of its own, with a role of its own (`ops`): the gateway,
-- which faces the world, can neither read nor make an operator.
CREATE TABLE operators (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
    -- Null until the invitation is taken. `sealed` is the secret of the app that shows codes, `sealed_by` the mark of
    -- the key that encrypted it; no code of the step `used_step` or before is accepted again.
    password_hash text,
    sealed bytea,
    sealed_by bytea CHECK (octet_length(sealed_by) = 8),
    used_step bigint,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    CHECK (num_nulls(password_hash, sealed, sealed_by, used_step) IN (0, 4))
);

-- One at a time: a newer one takes the place of an earlier one.
CREATE TABLE operator_invitations (
    operator_id uuid PRIMARY KEY REFERENCES operators (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    ends_at timestamptz NOT NULL
);

CREATE TABLE operator_sessions (
    id_hash bytea PRIMARY KEY CHECK (octet_length(id_hash) = 32),
    operator_id uuid NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    idle_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL
);
CREATE INDEX operator_sessions_of_operator ON operator_sessions (operator_id);
CREATE INDEX operator_sessions_by_end ON operator_sessions (ends_at);

-- What operators did in the console, and why: written before it is done, so that nothing is done without it. The name is
-- kept here since an operator may be removed. `service` and `subject` name the thing; `outcome` is null while it is done.
CREATE TABLE operator_acts (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT app_now(),
    operator_id uuid NOT NULL,
    operator text NOT NULL,
    action text NOT NULL CHECK (action ~ '^[a-z_]{1,60}$'),
    service text NOT NULL CHECK (service ~ '^[a-z_]{1,60}$'),
    subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 200),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    outcome text CHECK (length(outcome) BETWEEN 1 AND 200)
);
CREATE INDEX operator_acts_by_time ON operator_acts (at);

-- The outcomes of `clinicpay verify`. `report` holds what it found: names of checks, and the keys of rows.
CREATE TABLE verify_runs (
    id uuid PRIMARY KEY,
    ended_at timestamptz NOT NULL DEFAULT app_now(),
    breaches integer NOT NULL CHECK (breaches >= 0),
    not_checked integer NOT NULL CHECK (not_checked >= 0),
    report jsonb NOT NULL
);
CREATE INDEX verify_runs_by_end ON verify_runs (ended_at);

GRANT SELECT, INSERT, UPDATE (password_hash, sealed, sealed_by, used_step), DELETE ON operators TO app_ops;
GRANT SELECT, INSERT, UPDATE (token_hash, ends_at), DELETE ON operator_invitations TO app_ops;
GRANT SELECT, INSERT, UPDATE (idle_at), DELETE ON operator_sessions TO app_ops;
GRANT SELECT, INSERT, UPDATE (outcome) ON operator_acts TO app_ops;
GRANT SELECT, INSERT, DELETE ON verify_runs TO app_ops;
GRANT SELECT, INSERT, UPDATE, DELETE ON attempts TO app_ops;

-- The audit log's entries of the installation, which are about no clinic.
CREATE POLICY installation ON audit FOR INSERT TO app_ops
    WITH CHECK (clinic_id = '00000000-0000-0000-0000-000000000000');
GRANT INSERT (clinic_id, actor, role, action, subject_id, before_hash, after_hash, trace_id) ON audit TO app_ops;

-- migrate:down
