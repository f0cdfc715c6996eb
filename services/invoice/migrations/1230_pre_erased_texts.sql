-- migrate:up

-- The note and the explanations of a document are texts to its client: they are erased with the name (ADR 0028).
GRANT UPDATE (note) ON invoices TO app_worker;
GRANT UPDATE (explanation) ON invoice_documents TO app_worker;

-- migrate:down
