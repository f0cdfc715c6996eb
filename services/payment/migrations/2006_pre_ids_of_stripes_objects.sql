-- migrate:up

-- Ids no longer depend on when we booked. What was published before keeps the id that it had.
ALTER TABLE payments ADD COLUMN fact_id uuid, ADD COLUMN fact_version integer;
COMMENT ON COLUMN payments.fact_id IS 'id of the state event of fact_version; NULL: made from updated_at, as before';
COMMENT ON COLUMN payments.fact_version IS 'an earlier release that runs beside this one moves version alone';
ALTER TABLE refunds ADD COLUMN fact_id uuid;
COMMENT ON COLUMN refunds.fact_id IS 'id of payment.refunded; NULL: made from refunded_at, as before';
ALTER TABLE movements ADD COLUMN stripe_object_id text;
COMMENT ON COLUMN movements.stripe_object_id IS 'Stripe''s object that moved the money; NULL: booked before this was kept';

-- migrate:down
