-- migrate:up
-- A clinic's, or a client's, invoices in the order of their last change: what an integrator asks for by `updated_since`.
CREATE INDEX invoices_changed_of_clinic ON invoices (clinic_id, changed_at, id);
CREATE INDEX invoices_changed_of_client ON invoices (clinic_id, client_id, changed_at, id);

-- migrate:down
