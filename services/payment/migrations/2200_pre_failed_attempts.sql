-- migrate:up

-- Attempts of payments that a bank declined, or that failed at the bank later: `payments` keeps the newest one alone.
-- `clinicpay why` shows them; nothing is decided by them.
CREATE TABLE failed_attempts (
    clinic_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    name text NOT NULL,
    charge text,
    failed_at timestamptz NOT NULL,
    code text,
    method_kind text,
    method_brand text,
    observed_by text NOT NULL,
    PRIMARY KEY (clinic_id, payment_id, name),
    FOREIGN KEY (clinic_id, payment_id) REFERENCES payments
);
COMMENT ON COLUMN failed_attempts.name IS 'Stripe''s charge that it left, else the event that brought it';
COMMENT ON COLUMN failed_attempts.failed_at IS 'Stripe''s time; when the sweep asked, where no webhook came';
COMMENT ON COLUMN failed_attempts.observed_by IS 'Stripe''s event, or `sweep`';
CREATE INDEX failed_attempts_charge ON failed_attempts (clinic_id, charge);
CREATE INDEX failed_attempts_failed ON failed_attempts (failed_at);
ALTER TABLE failed_attempts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY every_clinic ON failed_attempts TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON failed_attempts TO app_worker;

-- migrate:down

DROP TABLE failed_attempts;
