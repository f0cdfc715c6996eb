-- migrate:up

-- When a refund was asked for, once that differs from when it began: rules count it once, and not again when it begins.
-- A table of any size: a column without a default is added without rewriting it.
ALTER TABLE refunds ADD COLUMN asked_at timestamptz;

-- migrate:down

ALTER TABLE refunds DROP COLUMN asked_at;
