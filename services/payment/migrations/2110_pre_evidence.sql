-- migrate:up

-- Evidence of a dispute (ADR 0043): the draft that staff write, and what was submitted to Stripe, as it was sent.
-- Both hold personal data, and go 180 days after their last change.
CREATE TABLE evidence (
    clinic_id uuid NOT NULL,
    dispute_id uuid NOT NULL,
    texts jsonb NOT NULL DEFAULT '{}',
    with_services boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, dispute_id),
    FOREIGN KEY (clinic_id, dispute_id) REFERENCES disputes
);
COMMENT ON COLUMN evidence.texts IS 'by Stripe''s names';
COMMENT ON COLUMN evidence.with_services IS 'texts from the clinic''s records may say what was done when';
CREATE INDEX evidence_changed ON evidence (updated_at);

CREATE TABLE evidence_submissions (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    dispute_id uuid NOT NULL,
    phase text NOT NULL CHECK (phase IN ('inquiry', 'chargeback')),
    texts jsonb NOT NULL,
    digest text NOT NULL,
    state text NOT NULL CHECK (state IN ('sending', 'sent', 'refused')),
    reason text,
    spent_keys integer NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (clinic_id, id),
    FOREIGN KEY (clinic_id, dispute_id) REFERENCES disputes,
    CONSTRAINT ended_once_answered CHECK ((ended_at IS NULL) = (state = 'sending'))
);
COMMENT ON COLUMN evidence_submissions.reason IS 'why Stripe refused it: a code';
COMMENT ON COLUMN evidence_submissions.spent_keys IS 'idempotency keys under which Stripe keeps an error of its own';
-- The bank takes one answer to each: whatever else is committed, nothing is sent beside it.
CREATE UNIQUE INDEX evidence_submitted_once ON evidence_submissions (clinic_id, dispute_id, phase) WHERE state <> 'refused';
CREATE INDEX evidence_submissions_of_dispute ON evidence_submissions (clinic_id, dispute_id, made_at);
CREATE INDEX evidence_submissions_ended ON evidence_submissions (ended_at) WHERE state <> 'sending';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['evidence', 'evidence_submissions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($policy$CREATE POLICY clinic ON %I TO app_api
            USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
            WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))$policy$, name);
        EXECUTE format('CREATE POLICY every_clinic ON %I TO app_worker USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO app_api', name);
        EXECUTE format('GRANT SELECT, UPDATE, DELETE ON %I TO app_worker', name);
    END LOOP;
END
$$;
GRANT UPDATE (texts, with_services, updated_at) ON evidence TO app_api;
GRANT UPDATE (state, reason, spent_keys, ended_at) ON evidence_submissions TO app_api;

-- migrate:down
