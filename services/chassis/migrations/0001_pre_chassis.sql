-- migrate:up

-- Events on their way to Kafka. Columns are named as Debezium's outbox router reads them: the topic is
-- aggregatetype, the record's key aggregateid. The relay deletes what Kafka has confirmed.
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL,
    clinic_id uuid NOT NULL,
    aggregatetype text NOT NULL,
    aggregateid text NOT NULL,
    payload bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON outbox FOR INSERT TO app_api
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON outbox FOR INSERT TO app_worker WITH CHECK (true);
CREATE POLICY relay ON outbox TO app_relay USING (true);
GRANT INSERT ON outbox TO app_api, app_worker;
GRANT SELECT, DELETE ON outbox TO app_relay;

-- Which consumer has had which event. Event ids begin with their time, so partitions are ranges of ids.
CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    PRIMARY KEY (consumer, event_id)
) PARTITION BY RANGE (event_id);
CREATE TABLE inbox_other PARTITION OF inbox DEFAULT;
GRANT SELECT, INSERT ON inbox TO app_worker;

CREATE FUNCTION uuid_at(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Weekly partitions, named by their Monday. The owner's rights: a worker may not create tables.
CREATE FUNCTION maintain_inbox(keep_days int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    monday timestamptz;
    oldest timestamptz := date_trunc('week', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - make_interval(days => keep_days);
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('maintain_inbox', 0));
    FOR monday IN SELECT generate_series(
        date_trunc('week', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC',
        now() + interval '3 weeks', interval '1 week')
    LOOP
        name := 'inbox_' || to_char(monday AT TIME ZONE 'UTC', 'YYYYMMDD');
        IF to_regclass('public.' || name) IS NULL THEN
            EXECUTE format('CREATE TABLE public.%I PARTITION OF public.inbox FOR VALUES FROM (%L) TO (%L)',
                name, public.uuid_at(monday), public.uuid_at(monday + interval '1 week'));
        END IF;
    END LOOP;
    FOR name IN SELECT relname FROM pg_class
        WHERE relname ~ '^inbox_[0-9]{8}$' AND relnamespace = 'public'::regnamespace
            AND to_date(substr(relname, 7), 'YYYYMMDD') + 7 < oldest
    LOOP
        EXECUTE format('DROP TABLE public.%I', name);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION maintain_inbox(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION maintain_inbox(int) TO app_worker;
SELECT maintain_inbox(30);

-- Records that a consumer could not apply, whole, until somebody has looked. Never deleted by the services.
CREATE TABLE parked (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    "offset" bigint NOT NULL,
    key bytea,
    value bytea,
    headers jsonb NOT NULL,
    event_id uuid,
    version int,
    reason text NOT NULL,
    detail text NOT NULL,
    trace_id text,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'superseded', 'replayed')),
    parked_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    fingerprint bytea NOT NULL,
    -- A rebuilt topic counts its offsets anew: the content tells its records from the old ones.
    UNIQUE (consumer, topic, partition, "offset", fingerprint)
);
CREATE INDEX parked_waiting ON parked (consumer, key) WHERE state = 'waiting';
GRANT SELECT, INSERT, UPDATE (state, resolved_at) ON parked TO app_worker;

-- Answers already given to a key of the public API, kept in the transaction of their effect.
CREATE TABLE idempotency_keys (
    clinic_id uuid NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (clinic_id, key)
);
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON idempotency_keys TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
GRANT SELECT, INSERT, UPDATE (answer) ON idempotency_keys TO app_api;

-- Who runs a timed job until when, by the database's clock.
CREATE TABLE job_leases (
    name text PRIMARY KEY,
    leased_until timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON job_leases TO app_worker;

-- migrate:down
