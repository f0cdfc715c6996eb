-- migrate:up

-- Of a job's last run, written when it has ended. NULL in rows of jobs that have not run since.
ALTER TABLE job_leases
    ADD COLUMN seconds float8,
    ADD COLUMN began_at timestamptz,
    ADD COLUMN ended_at timestamptz,
    ADD COLUMN error text,
    ADD COLUMN failing_since timestamptz,
    ADD COLUMN failures int NOT NULL DEFAULT 0;
COMMENT ON COLUMN job_leases.seconds IS 'from the beginning of a run to that of the next';
COMMENT ON COLUMN job_leases.error IS 'the class of the error that ended the last run; NULL: none did';
COMMENT ON COLUMN job_leases.failing_since IS 'the end of the first run that failed since the last one that did not';
COMMENT ON COLUMN job_leases.failures IS 'runs that have failed since the last one that did not';

-- migrate:down
