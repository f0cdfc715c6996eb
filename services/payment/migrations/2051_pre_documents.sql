-- migrate:up

-- Documents of invoices as their events have them: the issue and each correction, with net and tax of each rate, so that
-- revenue and tax can be booked. Kept for ever. An invoice that an earlier release issued has no row.
CREATE TABLE documents (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    payable_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('issue', 'credit_note', 'write_off', 'void')),
    number text,
    reason text,
    issued_on date NOT NULL,
    currency text NOT NULL,
    net_amount bigint NOT NULL,
    tax_amount bigint NOT NULL,
    rounding_amount bigint NOT NULL,
    total_amount bigint NOT NULL,
    taxes jsonb NOT NULL CHECK (jsonb_typeof(taxes) = 'array'),
    published_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, id),
    FOREIGN KEY (clinic_id, payable_id) REFERENCES payables (clinic_id, id),
    CONSTRAINT document_adds_up CHECK (total_amount = net_amount + tax_amount + rounding_amount)
);
COMMENT ON COLUMN documents.taxes IS 'of each rate: code, percent, net and tax in minor units';
CREATE INDEX documents_of_payable ON documents (clinic_id, payable_id);
ALTER TABLE documents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY every_clinic ON documents TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON documents TO app_worker;

-- migrate:down
