-- migrate:up

-- A payment that succeeds takes back what was going to tell of its failure: without this, every batch of them would
-- read all e-mails that are still to be sent.
CREATE INDEX deliveries_failures ON deliveries (clinic_id, subject_id)
    WHERE template = 'payment_failed' AND state IN ('waiting', 'due');

-- migrate:down
