-- migrate:up

-- Invoices that the topics name and that a restore lost. They are void: their numbers are never given again, and what
-- their clients paid is settled by an operator. Kept for ever, with the invoices.
CREATE TABLE lost_invoices (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    number text NOT NULL,
    version integer NOT NULL CHECK (version > 1),
    currency text NOT NULL,
    due_on date NOT NULL,
    lost_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (clinic_id, id)
);
ALTER TABLE lost_invoices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- migrate:down
