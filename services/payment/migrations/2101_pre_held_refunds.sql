-- migrate:up

-- A refund that is held (ADR 0037) has its money set aside; neither Stripe nor the client knows of it. Its act has the id of
-- its first refund. A changed act that a person does after all has another refund.
ALTER TABLE refunds
    ADD COLUMN act_id uuid,
    DROP CONSTRAINT refunds_status_check,
    ADD CONSTRAINT refunds_status_check CHECK (status IN
        ('awaiting_approval', 'held', 'created', 'pending', 'requires_action', 'succeeded', 'failed', 'canceled')) NOT VALID,
    ADD CONSTRAINT held_by_an_act CHECK (status <> 'held' OR act_id IS NOT NULL) NOT VALID;
ALTER TABLE refunds VALIDATE CONSTRAINT refunds_status_check;
ALTER TABLE refunds VALIDATE CONSTRAINT held_by_an_act;
COMMENT ON COLUMN refunds.act_id IS 'the held act that it was, or is, reserved for';
CREATE UNIQUE INDEX refunds_held ON refunds (clinic_id, act_id) WHERE status = 'held';
CREATE INDEX refunds_of_act ON refunds (clinic_id, act_id) WHERE act_id IS NOT NULL;

-- migrate:down
