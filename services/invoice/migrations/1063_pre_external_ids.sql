-- migrate:up

-- Most rows have no id of another program: an index without them is not written each time that an invoice changes.
DROP INDEX clinics_external_id, clients_external_id, invoices_external_id;
CREATE UNIQUE INDEX clinics_external_id ON clinics (external_id) WHERE external_id IS NOT NULL;
CREATE UNIQUE INDEX clients_external_id ON clients (clinic_id, external_id) WHERE external_id IS NOT NULL;
CREATE UNIQUE INDEX invoices_external_id ON invoices (clinic_id, external_id) WHERE external_id IS NOT NULL;

-- migrate:down
