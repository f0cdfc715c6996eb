-- migrate:up

-- The time that every statement of the services goes by. A simulation moves it by the setting clinicpay.clock_shift
-- of a database; without that it is the time at which the transaction began.
CREATE FUNCTION app_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT now() + coalesce(nullif(current_setting('clinicpay.clock_shift', true), ''), '0')::interval
$$;
ALTER TABLE outbox ALTER COLUMN created_at SET DEFAULT app_now();
ALTER TABLE parked ALTER COLUMN parked_at SET DEFAULT app_now();
ALTER TABLE idempotency_keys ALTER COLUMN created_at SET DEFAULT app_now();
ALTER TABLE inbox ALTER COLUMN claimed_at SET DEFAULT app_now();

-- migrate:down
