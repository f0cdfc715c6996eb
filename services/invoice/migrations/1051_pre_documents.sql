-- migrate:up

-- Corrections of issued invoices (ADR 0040): an invoice is never edited, a document takes a sum off it. Kept for ever.
CREATE TABLE credit_note_counters (
    clinic_id uuid NOT NULL REFERENCES clinics (id),
    year integer NOT NULL CHECK (year BETWEEN 1900 AND 9999),
    last_number integer NOT NULL CHECK (last_number > 0),
    PRIMARY KEY (clinic_id, year)
);

CREATE TABLE invoice_documents (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('credit_note', 'write_off', 'void')),
    number text CHECK (number ~ '^CN-[0-9]{4}-[0-9]{6,}$'),
    reason text NOT NULL CHECK (
        reason IN ('wrong_service', 'wrong_amount', 'wrong_client', 'duplicate', 'not_given', 'goodwill', 'other',
            'uncollectible', 'small_amount')
    ),
    explanation text NOT NULL CHECK (length(explanation) <= 500),
    currency text NOT NULL,
    net_amount bigint NOT NULL,
    tax_amount bigint NOT NULL,
    rounding_amount bigint NOT NULL CHECK (rounding_amount BETWEEN -50 AND 50),
    total_amount bigint NOT NULL CHECK (total_amount BETWEEN 0 AND 9007199254740991),
    issued_on date NOT NULL,
    issued_at timestamptz NOT NULL,
    -- The clinic as it was then (ADR 0028). The client is the invoice's.
    seller jsonb NOT NULL CHECK (jsonb_typeof(seller) = 'object'),
    locale text NOT NULL,
    time_zone text NOT NULL,
    -- The invoice right after it: the document's event is built from these again.
    version integer NOT NULL CHECK (version > 1),
    status text NOT NULL,
    due_before_amount bigint NOT NULL,
    settled_amount bigint NOT NULL,
    being_checked boolean NOT NULL,
    -- Issued in the invoice's place.
    new_invoice_id uuid,
    PRIMARY KEY (clinic_id, id),
    UNIQUE (clinic_id, number),
    UNIQUE (clinic_id, invoice_id, version),
    UNIQUE (clinic_id, new_invoice_id),
    FOREIGN KEY (clinic_id, invoice_id) REFERENCES invoices (clinic_id, id),
    FOREIGN KEY (clinic_id, new_invoice_id) REFERENCES invoices (clinic_id, id),
    CONSTRAINT document_adds_up CHECK (total_amount = net_amount + tax_amount + rounding_amount),
    CONSTRAINT takes_something_off CHECK (total_amount > 0 OR kind = 'void'),
    CONSTRAINT credit_notes_are_numbered CHECK ((kind = 'credit_note') = (number IS NOT NULL)),
    CONSTRAINT credit_notes_replace CHECK (new_invoice_id IS NULL OR kind = 'credit_note'),
    CONSTRAINT other_is_explained CHECK (reason <> 'other' OR explanation <> '')
);
CREATE UNIQUE INDEX invoice_documents_void_once ON invoice_documents (clinic_id, invoice_id) WHERE kind = 'void';

-- Net and tax of each combination of taxes that lines bear together: `tax_codes` names it, each of its taxes has a row.
CREATE TABLE invoice_document_taxes (
    clinic_id uuid NOT NULL,
    document_id uuid NOT NULL,
    tax_codes text[] NOT NULL CHECK (cardinality(tax_codes) > 0),
    tax_code text NOT NULL CHECK (tax_code = ANY (tax_codes)),
    tax_name text NOT NULL,
    tax_percent numeric(6, 3) NOT NULL CHECK (tax_percent BETWEEN 0 AND 100),
    net_amount bigint NOT NULL,
    tax_amount bigint NOT NULL,
    PRIMARY KEY (clinic_id, document_id, tax_codes, tax_code),
    FOREIGN KEY (clinic_id, document_id) REFERENCES invoice_documents (clinic_id, id)
);

-- The lines that a credit note names, and how much of each.
CREATE TABLE invoice_document_lines (
    clinic_id uuid NOT NULL,
    document_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    position integer NOT NULL,
    quantity numeric(9, 3) NOT NULL CHECK (quantity > 0),
    net_amount bigint NOT NULL,
    tax_amount bigint NOT NULL,
    PRIMARY KEY (clinic_id, document_id, position),
    FOREIGN KEY (clinic_id, document_id) REFERENCES invoice_documents (clinic_id, id),
    FOREIGN KEY (clinic_id, invoice_id, position) REFERENCES invoice_lines (clinic_id, invoice_id, position)
);
CREATE INDEX invoice_document_lines_of_invoice ON invoice_document_lines (clinic_id, invoice_id);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['credit_note_counters', 'invoice_documents', 'invoice_document_taxes',
                                'invoice_document_lines'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($policy$
            CREATE POLICY clinic ON %I TO app_api
                USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
                WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
            $policy$, name);
    END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE ON credit_note_counters TO app_api;
GRANT SELECT, INSERT ON invoice_documents, invoice_document_taxes, invoice_document_lines TO app_api;
GRANT UPDATE (status, credited_amount, written_off_amount, paid_at, version, changed_at) ON invoices TO app_api;

-- An invoice's sums are its documents', when a transaction ends; it is void by a document, and in no other way.
CREATE FUNCTION documents_make_the_sums() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    invoice uuid := CASE TG_TABLE_NAME WHEN 'invoices' THEN to_jsonb(NEW)->>'id' ELSE to_jsonb(NEW)->>'invoice_id' END;
BEGIN
    IF EXISTS (
        SELECT FROM invoices AS i LEFT JOIN LATERAL (
            SELECT coalesce(sum(total_amount) FILTER (WHERE kind = 'credit_note'), 0) AS credited,
                coalesce(sum(total_amount) FILTER (WHERE kind = 'write_off'), 0) AS written_off,
                count(*) FILTER (WHERE kind = 'void') AS voids
            FROM invoice_documents AS d WHERE (d.clinic_id, d.invoice_id) = (i.clinic_id, i.id)
        ) AS made ON true
        WHERE (i.clinic_id, i.id) = (NEW.clinic_id, invoice)
            AND ((i.credited_amount, i.written_off_amount) <> (made.credited, made.written_off)
                OR (i.status = 'void') <> (made.voids = 1))
    ) THEN
        RAISE EXCEPTION 'documents of invoice % are not what it says', invoice
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER documents_make_the_sums AFTER INSERT ON invoice_documents
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION documents_make_the_sums();
CREATE CONSTRAINT TRIGGER documents_make_the_sums AFTER UPDATE ON invoices
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (
        NEW.credited_amount <> OLD.credited_amount OR NEW.written_off_amount <> OLD.written_off_amount
        OR (NEW.status = 'void') <> (OLD.status = 'void')
    )
    EXECUTE FUNCTION documents_make_the_sums();

-- migrate:down
