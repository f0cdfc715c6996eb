-- migrate:up

-- A table of any size: a column without a default is added without rewriting it.
ALTER TABLE allocations ADD COLUMN due_after_reversal bigint CHECK (due_after_reversal >= 0);
COMMENT ON COLUMN allocations.due_after_reversal IS 'what was due on the invoice right after the payment was taken back';

-- migrate:down

ALTER TABLE allocations DROP COLUMN due_after_reversal;
