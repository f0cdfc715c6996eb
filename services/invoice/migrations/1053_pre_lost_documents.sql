-- migrate:up

-- Documents that the topics name and that a restore lost: their numbers are never given again. Kept for ever.
CREATE TABLE lost_documents (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('credit_note', 'write_off', 'void')),
    number text,
    reason text NOT NULL,
    issued_on date NOT NULL,
    currency text NOT NULL,
    net_amount bigint NOT NULL,
    tax_amount bigint NOT NULL,
    rounding_amount bigint NOT NULL,
    total_amount bigint NOT NULL,
    lost_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (clinic_id, id)
);
ALTER TABLE lost_documents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- migrate:down
