-- migrate:up

-- A parked event holds back no other (ADR 0016), so nothing is asked by the record's key any more: a key is whatever
-- came, of any size. `aggregate_id` is the aggregate that the record names, as far as that can be read.
ALTER TABLE parked
    ADD COLUMN aggregate_id uuid,
    ADD COLUMN discarded_by text,
    ADD COLUMN discard_reason text,
    -- json keeps what jsonb cannot hold: NUL and lone surrogates in a header's name.
    ALTER COLUMN headers TYPE json USING headers::text::json,
    DROP CONSTRAINT parked_state_check,
    ADD CONSTRAINT parked_state_check CHECK (state IN ('waiting', 'superseded', 'replayed', 'discarded')),
    ADD CONSTRAINT discarded_with_reason CHECK (
        state <> 'discarded' OR (discarded_by IS NOT NULL AND discard_reason IS NOT NULL));
DROP INDEX parked_waiting;
-- The owner has no policy of its own.
ALTER TABLE parked NO FORCE ROW LEVEL SECURITY;
UPDATE parked SET aggregate_id = encode(key, 'escape')::uuid
    WHERE clinic_id IS NOT NULL
        AND encode(key, 'escape') ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$';
ALTER TABLE parked FORCE ROW LEVEL SECURITY;
CREATE INDEX parked_of_aggregate ON parked (clinic_id, aggregate_id) WHERE state = 'waiting';
GRANT UPDATE (discarded_by, discard_reason) ON parked TO app_worker;

-- Operators discard with the worker's login: that, and nothing else, it may enter into the audit log.
CREATE POLICY discards ON audit FOR INSERT TO app_worker
    WITH CHECK (role = 'operator' AND action = 'discard_parked');
GRANT INSERT (clinic_id, actor, role, action, subject_id, before_hash, after_hash, trace_id) ON audit TO app_worker;

-- When an event was claimed: an id may be older than its event, or of any time at all when its writer erred. NULL in
-- rows from before, which are as old as their ids.
ALTER TABLE inbox ADD COLUMN claimed_at timestamptz;
ALTER TABLE inbox ALTER COLUMN claimed_at SET DEFAULT now();

-- Weekly partitions, named by their Monday, from as far back as claims are kept to three weeks ahead. The owner's
-- rights: a worker may not create tables. Claims wait while a partition is made or dropped, once a week.
CREATE OR REPLACE FUNCTION maintain_inbox(keep_days int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    kept_since timestamptz := date_trunc('week', now() - make_interval(days => keep_days));
    monday timestamptz;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('maintain_inbox', 0));
    FOR monday IN SELECT generate_series(kept_since, now() + interval '3 weeks', interval '1 week')
    LOOP
        name := 'inbox_' || to_char(monday, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
        LOCK TABLE public.inbox IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('CREATE TABLE public.%I (LIKE public.inbox INCLUDING ALL)', name);
        -- What came before its week had a partition is in inbox_other, and would refuse it.
        EXECUTE format('WITH moved AS (
                DELETE FROM public.inbox_other WHERE event_id >= %L AND event_id < %L RETURNING *
            ) INSERT INTO public.%I (consumer, event_id, claimed_at) SELECT consumer, event_id, claimed_at FROM moved',
            public.uuid_at(monday), public.uuid_at(monday + interval '1 week'), name);
        EXECUTE format('ALTER TABLE public.inbox ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
            name, public.uuid_at(monday), public.uuid_at(monday + interval '1 week'));
    END LOOP;
    -- Before those of dropped partitions join them.
    DELETE FROM public.inbox_other
        WHERE claimed_at < kept_since OR claimed_at IS NULL AND event_id < public.uuid_at(kept_since);
    FOR name IN SELECT relname FROM pg_class
        WHERE relname ~ '^inbox_[0-9]{8}$' AND relnamespace = 'public'::regnamespace
            AND to_date(substr(relname, 7), 'YYYYMMDD') < kept_since
    LOOP
        LOCK TABLE public.inbox IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('ALTER TABLE public.inbox DETACH PARTITION public.%I', name);
        EXECUTE format('INSERT INTO public.inbox (consumer, event_id, claimed_at)
            SELECT consumer, event_id, claimed_at FROM public.%I WHERE claimed_at >= %L', name, kept_since);
        EXECUTE format('DROP TABLE public.%I', name);
    END LOOP;
END $$;
SELECT maintain_inbox(30);

-- migrate:down
