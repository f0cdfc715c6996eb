-- migrate:up

-- A document keeps what it said when it was issued (ADR 0028): the clinic as its seller, and how it writes days and sums.
ALTER TABLE invoices
    ADD COLUMN seller jsonb CHECK (jsonb_typeof(seller) = 'object'),
    ADD COLUMN locale text,
    ADD COLUMN time_zone text;

-- The day from which a person's name and address may be erased: ten years after the end of the year.
CREATE FUNCTION erase_after() RETURNS date LANGUAGE sql STABLE AS $$
    SELECT make_date(extract(year FROM app_now())::integer + 11, 1, 1)
$$;

-- Who a document is addressed to, in a row of its own: erasing it leaves the document's sums and their hashes.
CREATE TABLE invoice_identities (
    clinic_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    name text NOT NULL,
    billing_address jsonb NOT NULL CHECK (jsonb_typeof(billing_address) = 'object'),
    erase_after date NOT NULL DEFAULT erase_after(),
    erased_at timestamptz,
    PRIMARY KEY (clinic_id, invoice_id),
    -- An earlier version issues without this row: a trigger adds it before the invoice is there.
    FOREIGN KEY (clinic_id, invoice_id) REFERENCES invoices (clinic_id, id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT named_or_erased CHECK (
        CASE WHEN erased_at IS NULL THEN length(name) BETWEEN 1 AND 200 ELSE name = '' AND billing_address = '{}' END
    )
);
CREATE INDEX invoice_identities_to_erase ON invoice_identities (erase_after) WHERE erased_at IS NULL;

-- A client's row holds nothing but the client's identity.
ALTER TABLE clients
    ADD COLUMN erase_after date NOT NULL DEFAULT erase_after(),
    ADD COLUMN erased_at timestamptz,
    DROP CONSTRAINT clients_name_check,
    ADD CONSTRAINT named_or_erased CHECK (
        CASE WHEN erased_at IS NULL THEN length(name) BETWEEN 1 AND 200 ELSE name = '' AND billing_address = '{}' END
    ) NOT VALID;
ALTER TABLE clients VALIDATE CONSTRAINT named_or_erased;
CREATE INDEX clients_to_erase ON clients (erase_after) WHERE erased_at IS NULL;

-- What was erased. A restore applies it again, see services/invoice/erasures.
CREATE TABLE erasures (
    clinic_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('client', 'invoice')),
    subject_id uuid NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, kind, subject_id, erased_at)
);

-- Documents of before say what their clinic and client are today. The owner has no policy of its own.
ALTER TABLE clinics NO FORCE ROW LEVEL SECURITY;
ALTER TABLE clients NO FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
CREATE FUNCTION seller_of(clinic clinics) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object(
        'name', clinic.name,
        'address', coalesce(clinic.contact->>'address', ''),
        'phone', coalesce(clinic.contact->>'phone', ''),
        'email', coalesce(clinic.contact->>'email', '')
    )
$$;
UPDATE invoices SET seller = seller_of(clinics), locale = clinics.locale, time_zone = clinics.time_zone
    FROM clinics WHERE clinics.id = invoices.clinic_id;
INSERT INTO invoice_identities (clinic_id, invoice_id, name, billing_address, erase_after)
    SELECT i.clinic_id, i.id, c.name, c.billing_address, make_date(extract(year FROM i.created_at)::integer + 11, 1, 1)
    FROM invoices AS i JOIN clients AS c ON (c.clinic_id, c.id) = (i.clinic_id, i.client_id);
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE invoices
    ALTER COLUMN seller SET NOT NULL,
    ALTER COLUMN locale SET NOT NULL,
    ALTER COLUMN time_zone SET NOT NULL,
    ADD CONSTRAINT time_zone_is_known CHECK (timezone(time_zone, timestamptz 'epoch') IS NOT NULL);
ALTER TABLE clinics FORCE ROW LEVEL SECURITY;
ALTER TABLE clients FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;

-- An earlier version that issues while this one starts writes none of it.
CREATE FUNCTION freeze_document() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT seller_of(c), c.locale, c.time_zone INTO STRICT NEW.seller, NEW.locale, NEW.time_zone
        FROM clinics AS c WHERE c.id = NEW.clinic_id;
    INSERT INTO invoice_identities (clinic_id, invoice_id, name, billing_address)
        SELECT NEW.clinic_id, NEW.id, c.name, c.billing_address
        FROM clients AS c WHERE (c.clinic_id, c.id) = (NEW.clinic_id, NEW.client_id);
    RETURN NEW;
END
$$;
CREATE TRIGGER freeze_document BEFORE INSERT ON invoices
    FOR EACH ROW WHEN (NEW.seller IS NULL) EXECUTE FUNCTION freeze_document();

ALTER TABLE invoice_identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoice_identities FORCE ROW LEVEL SECURITY;
ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;
ALTER TABLE erasures FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON invoice_identities TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON invoice_identities TO app_worker USING (true) WITH CHECK (true);
CREATE POLICY every_clinic ON clients TO app_worker USING (true) WITH CHECK (true);
CREATE POLICY every_clinic ON erasures TO app_worker USING (true) WITH CHECK (true);

GRANT SELECT, INSERT ON invoice_identities TO app_api;
-- The worker erases names and reads none.
GRANT SELECT (clinic_id, invoice_id, erase_after, erased_at) ON invoice_identities TO app_worker;
GRANT SELECT (clinic_id, id, erase_after, erased_at, changed_at) ON clients TO app_worker;
GRANT UPDATE (name, billing_address, erased_at) ON invoice_identities, clients TO app_worker;
GRANT SELECT, INSERT ON erasures TO app_worker;

-- migrate:down
