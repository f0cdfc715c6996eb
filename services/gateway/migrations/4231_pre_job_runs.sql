-- migrate:up

-- The gateway's own jobs write down how they ran. Each of its processes runs them all, without a lease.
GRANT SELECT, INSERT, UPDATE ON job_leases TO app_api;

-- migrate:down

REVOKE SELECT, INSERT, UPDATE ON job_leases FROM app_api;
