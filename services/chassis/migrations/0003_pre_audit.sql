-- migrate:up

-- What staff and operators did: ids and hashes, nothing personal. Each clinic's entries are a chain: an entry's hash
-- covers the one before it, so that an entry that is changed, taken out or put in later is found (`audit.breaches`).
CREATE TABLE audit (
    clinic_id uuid NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    actor uuid NOT NULL,
    role text NOT NULL CHECK (role IN ('staff', 'operator')),
    action text NOT NULL CHECK (action ~ '^[a-z_]{1,60}$'),
    subject_id uuid NOT NULL,
    before_hash bytea CHECK (octet_length(before_hash) = 32),
    after_hash bytea CHECK (octet_length(after_hash) = 32),
    trace_id text CHECK (trace_id ~ '^[0-9a-f]{32}$'),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (clinic_id, seq)
);
CREATE INDEX audit_of_subject ON audit (clinic_id, subject_id);
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON audit FOR INSERT TO app_api
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
-- Number, time and hash are not among the columns: `chain_audit` alone sets them.
GRANT INSERT (clinic_id, actor, role, action, subject_id, before_hash, after_hash, trace_id) ON audit TO app_api;

-- The end of each chain: without it nobody would miss the last entries. Its row is the lock that keeps one chain.
CREATE TABLE audit_heads (
    clinic_id uuid PRIMARY KEY,
    seq bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
ALTER TABLE audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY chaining ON audit_heads TO CURRENT_USER USING (true) WITH CHECK (true);

-- With the owner's rights, since those who act may not write the chain's end themselves.
CREATE FUNCTION chain_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    head public.audit_heads;
BEGIN
    INSERT INTO public.audit_heads (clinic_id, seq, hash)
        VALUES (NEW.clinic_id, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT head FROM public.audit_heads WHERE clinic_id = NEW.clinic_id FOR UPDATE;
    NEW.seq := head.seq + 1;
    NEW.at := clock_timestamp();
    NEW.hash := sha256(head.hash || convert_to(concat_ws('|', NEW.clinic_id, NEW.seq,
        (extract(epoch FROM NEW.at) * 1000000)::bigint, NEW.actor, NEW.role, NEW.action, NEW.subject_id,
        coalesce(encode(NEW.before_hash, 'hex'), ''), coalesce(encode(NEW.after_hash, 'hex'), ''),
        coalesce(NEW.trace_id, '')), 'UTF8'));
    UPDATE public.audit_heads SET seq = NEW.seq, hash = NEW.hash WHERE clinic_id = NEW.clinic_id;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION chain_audit() FROM PUBLIC;
CREATE TRIGGER chained BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION chain_audit();

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- migrate:down
