-- migrate:up

-- A payment of this invoice is parked at the invoice service: nobody is asked for its money meanwhile (ADR 0016).
ALTER TABLE invoices ADD COLUMN being_checked boolean NOT NULL DEFAULT false;

-- migrate:down
