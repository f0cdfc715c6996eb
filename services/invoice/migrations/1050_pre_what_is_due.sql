-- migrate:up

-- What is due (ADR 0040): the total less credit notes, write-offs and the movements that count. A refund or a dispute
-- does not count: it is a sum of its own.
ALTER TABLE invoices
    ADD COLUMN disputed_amount bigint NOT NULL DEFAULT 0
        CHECK (disputed_amount BETWEEN -9007199254740991 AND 9007199254740991),
    ADD COLUMN credited_amount bigint NOT NULL DEFAULT 0,
    ADD COLUMN written_off_amount bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT paid_means_nothing_due,
    DROP CONSTRAINT invoices_status_check,
    ADD CONSTRAINT invoices_status_check CHECK (
        status IN ('unpaid', 'part_paid', 'processing', 'paid', 'refunded', 'credited', 'written_off', 'void')
    ) NOT VALID,
    ADD CONSTRAINT documents_within_total CHECK (
        credited_amount >= 0 AND written_off_amount >= 0 AND credited_amount + written_off_amount <= total_amount
    ) NOT VALID;

-- The owner has no policy of its own.
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
ALTER TABLE movements NO FORCE ROW LEVEL SECURITY;
UPDATE invoices AS i SET
        settled_amount = m.counted, disputed_amount = m.disputed,
        status = CASE
            WHEN i.status = 'void' THEN 'void'
            WHEN m.counted < i.total_amount AND i.status = 'processing' THEN 'processing'
            WHEN m.counted < i.total_amount AND m.counted > 0 THEN 'part_paid'
            WHEN m.counted < i.total_amount THEN 'unpaid'
            WHEN m.counted <= i.refunded_amount THEN 'refunded'
            ELSE 'paid'
        END,
        paid_at = CASE WHEN m.counted >= i.total_amount AND m.counted > i.refunded_amount THEN coalesce(i.paid_at, m.at) END
    FROM (
        SELECT clinic_id, invoice_id AS id, max(booked_at) AS at,
            coalesce(sum(amount) FILTER (WHERE kind IN ('payment', 'reversal')), 0)::bigint AS counted,
            coalesce(-sum(amount) FILTER (WHERE kind = 'dispute'), 0)::bigint AS disputed
        FROM movements GROUP BY clinic_id, invoice_id
        HAVING bool_or(kind IN ('refund', 'dispute'))
    ) AS m
    WHERE (i.clinic_id, i.id) = (m.clinic_id, m.id);
ALTER TABLE movements FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;

ALTER TABLE invoices
    ADD CONSTRAINT closed_when_nothing_is_due CHECK (
        status = 'void' OR (status IN ('unpaid', 'part_paid', 'processing'))
            = (total_amount - credited_amount - written_off_amount > settled_amount)
    ) NOT VALID;
ALTER TABLE invoices VALIDATE CONSTRAINT invoices_status_check;
ALTER TABLE invoices VALIDATE CONSTRAINT documents_within_total;
ALTER TABLE invoices VALIDATE CONSTRAINT closed_when_nothing_is_due;
GRANT UPDATE (disputed_amount) ON invoices TO app_worker;

ALTER TABLE movements
    DROP CONSTRAINT movements_kind_check,
    ADD CONSTRAINT movements_kind_check
        CHECK (kind IN ('payment', 'credit', 'reversal', 'refund', 'dispute')) NOT VALID;
ALTER TABLE movements VALIDATE CONSTRAINT movements_kind_check;

-- migrate:down
