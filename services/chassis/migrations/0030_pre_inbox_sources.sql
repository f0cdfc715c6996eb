-- migrate:up

-- The id, type and object of an event from outside, as they are known there, and when our edge sent it on. NULL in
-- claims of our own events.
ALTER TABLE inbox
    ADD COLUMN source_id text,
    ADD COLUMN source_type text,
    ADD COLUMN subject text,
    ADD COLUMN received_at timestamptz;

-- As before, with the new columns.
CREATE OR REPLACE FUNCTION maintain_inbox(keep_days int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    kept_since timestamptz := date_trunc('week', now() - make_interval(days => keep_days));
    columns text := 'consumer, event_id, claimed_at, source_id, source_type, subject, received_at';
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
            ) INSERT INTO public.%I (%s) SELECT %s FROM moved',
            public.uuid_at(monday), public.uuid_at(monday + interval '1 week'), name, columns, columns);
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
        EXECUTE format('INSERT INTO public.inbox (%s) SELECT %s FROM public.%I WHERE claimed_at >= %L',
            columns, columns, name, kept_since);
        EXECUTE format('DROP TABLE public.%I', name);
    END LOOP;
END $$;

-- migrate:down
