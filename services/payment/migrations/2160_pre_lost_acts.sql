-- migrate:up

-- Payments, movements and refunds that a restore lost and Stripe does not know: the topics speak of them, the books do
-- not have them. The family is the one of `clinicpay verify`.
CREATE TABLE lost_acts (
    clinic_id uuid NOT NULL,
    family text NOT NULL CHECK (family IN ('payment', 'movement', 'refund')),
    id uuid NOT NULL,
    version integer NOT NULL CHECK (version >= 0),
    client_id uuid,
    PRIMARY KEY (clinic_id, family, id)
);
COMMENT ON COLUMN lost_acts.version IS 'the newest that was published; 0 for what has no versions';
COMMENT ON COLUMN lost_acts.client_id IS 'null for a movement';
ALTER TABLE lost_acts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY every_clinic ON lost_acts TO app_worker USING (true);
GRANT SELECT ON lost_acts TO app_worker;

-- migrate:down
