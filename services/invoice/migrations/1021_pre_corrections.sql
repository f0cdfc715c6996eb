-- migrate:up
-- Movements that payment never booked, such as a forged event's, taken out of an invoice by two named persons. Kept for ever.
CREATE TABLE corrections (
    clinic_id uuid NOT NULL,
    movement_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    movement jsonb NOT NULL,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    reversed_by text NOT NULL CHECK (length(reversed_by) BETWEEN 1 AND 200),
    approved_by text NOT NULL CHECK (length(approved_by) BETWEEN 1 AND 200),
    reversed_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (clinic_id, movement_id),
    FOREIGN KEY (clinic_id, invoice_id) REFERENCES invoices (clinic_id, id),
    CONSTRAINT two_persons CHECK (lower(reversed_by) <> lower(approved_by))
);
ALTER TABLE corrections ENABLE ROW LEVEL SECURITY;
ALTER TABLE corrections FORCE ROW LEVEL SECURITY;
CREATE POLICY every_clinic ON corrections TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON corrections TO app_worker;

-- A movement leaves its invoice by a correction, and in no other way.
CREATE FUNCTION only_corrected() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM corrections WHERE (clinic_id, movement_id) = (OLD.clinic_id, OLD.id)) THEN
        RAISE EXCEPTION 'movement % has no correction', OLD.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER only_corrected BEFORE DELETE ON movements FOR EACH ROW EXECUTE FUNCTION only_corrected();
GRANT DELETE ON movements, invoice_payments TO app_worker;

-- Operators correct with the worker's login, as they discard.
CREATE POLICY corrections ON audit FOR INSERT TO app_worker
    WITH CHECK (action = 'reverse_movement' AND role = 'operator');

-- migrate:down
