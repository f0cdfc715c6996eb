-- migrate:up

-- Whether a movement of this invoice is parked: its sums may be wrong, so nobody is asked to pay it (ADR 0016).
ALTER TABLE invoices ADD COLUMN being_checked boolean NOT NULL DEFAULT false;
GRANT UPDATE (being_checked) ON invoices TO app_worker;

-- The owner has no policy of its own.
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
ALTER TABLE parked NO FORCE ROW LEVEL SECURITY;
UPDATE invoices SET being_checked = true
    FROM parked
    WHERE (parked.clinic_id, parked.aggregate_id) = (invoices.clinic_id, invoices.id)
        AND parked.state = 'waiting' AND parked.topic = 'payment.settled';
ALTER TABLE parked FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;

-- migrate:down
