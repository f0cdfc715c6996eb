-- migrate:up

-- How much staff and API keys may give back in 24 hours, and above which sum another one has to agree. By an operator.
-- Sums are in minor units of the refund's currency.
CREATE TABLE refund_rules (
    clinic_id uuid PRIMARY KEY,
    most_a_day integer CHECK (most_a_day >= 0),
    most_amount_a_day bigint CHECK (most_amount_a_day >= 0),
    approve_above bigint CHECK (approve_above >= 0),
    refund_application_fee boolean NOT NULL DEFAULT false
);
COMMENT ON COLUMN refund_rules.refund_application_fee IS 'whether a refund gives its part of the application fee back too';
ALTER TABLE refund_rules ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON refund_rules TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON refund_rules TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON refund_rules TO app_api;
GRANT SELECT ON refund_rules TO app_worker;

ALTER TABLE refunds
    ADD COLUMN made_by uuid,
    ADD COLUMN approved_by uuid,
    ADD COLUMN on_behalf_of text CHECK (length(on_behalf_of) BETWEEN 1 AND 200),
    ADD COLUMN refund_fee boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT refunds_status_check,
    ADD CONSTRAINT refunds_status_check CHECK (status IN
        ('awaiting_approval', 'created', 'pending', 'requires_action', 'succeeded', 'failed', 'canceled')) NOT VALID,
    ADD CONSTRAINT approved_by_another CHECK (approved_by <> made_by);
ALTER TABLE refunds VALIDATE CONSTRAINT refunds_status_check;
COMMENT ON COLUMN refunds.made_by IS 'the login or API key that asked for it';
COMMENT ON COLUMN refunds.on_behalf_of IS 'for whom that one acted, in its own words';
CREATE INDEX refunds_made_by ON refunds (clinic_id, made_by, created_at);

-- migrate:down
