-- migrate:up

-- When `invoice.overdue` was published, once for each invoice.
ALTER TABLE invoices ADD COLUMN overdue_at timestamptz;
GRANT UPDATE (overdue_at) ON invoices TO app_worker;
CREATE INDEX invoices_becoming_overdue ON invoices (due_on)
    WHERE overdue_at IS NULL AND NOT being_checked AND status IN ('unpaid', 'part_paid');

-- migrate:down
