-- migrate:up

-- The newest choice of how to pay the invoice, as a hash of all that was chosen. A press of Pay that finds another one
-- here yields to it. NULL until the first press, and for what an earlier release started.
ALTER TABLE payables ADD COLUMN choice bytea CHECK (length(choice) = 32);
GRANT UPDATE (choice) ON payables TO app_api;

-- migrate:down
