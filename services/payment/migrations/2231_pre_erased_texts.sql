-- migrate:up

-- What staff wrote about a payment that they recorded may name its client: it is erased with the client (ADR 0067).
GRANT UPDATE (reference, reversal_reason) ON recorded_payments TO app_worker;

-- migrate:down
