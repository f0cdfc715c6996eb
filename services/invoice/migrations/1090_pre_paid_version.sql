-- migrate:up

-- The version that paid the invoice: its event is invoice.paid, that of a later one is invoice.updated.
ALTER TABLE invoices ADD COLUMN paid_version integer;
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
UPDATE invoices SET paid_version = version WHERE status = 'paid' AND version > 1;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;
GRANT UPDATE (paid_version) ON invoices TO app_worker;

-- migrate:down
