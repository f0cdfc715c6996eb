"""Invariants inside the invoice service's database, true at any moment."""

from contracts.vocabulary import COUNTED_MOVEMENTS
from deploy.ops.verify.checks import Check
from services.chassis.db.sql import literals

_MONEY = {
    "lines_make_the_total": (
        "An invoice's lines sum to its subtotal, tax and discount; its total is these two with its rounding",
        """
        SELECT clinic_id, i.id AS invoice_id, i.subtotal_amount, i.tax_amount, i.rounding_amount, i.discount_amount,
            l.net, l.tax, l.discount
        FROM invoices AS i
        LEFT JOIN (
            SELECT clinic_id, invoice_id AS id, sum(net_amount) AS net,
                sum(tax_amount + coalesce(second_tax_amount, 0)) AS tax, sum(invoice_discount_amount) AS discount
            FROM invoice_lines GROUP BY clinic_id, invoice_id
        ) AS l USING (clinic_id, id)
        WHERE (i.subtotal_amount, i.tax_amount, coalesce(i.discount_amount, 0))
                IS DISTINCT FROM (l.net, l.tax, l.discount)
            OR i.total_amount <> i.subtotal_amount + i.tax_amount + i.rounding_amount
        """,
    ),
    "balance_is_moved": (
        "What is settled on an invoice is the sum of its movements that count; refunds and disputes are other sums",
        f"""
        SELECT clinic_id, i.id AS invoice_id, i.settled_amount, coalesce(m.amount, 0) AS moved,
            i.refunded_amount, coalesce(m.refunded, 0) AS refunds,
            i.disputed_amount, coalesce(m.disputed, 0) AS disputes
        FROM invoices AS i
        LEFT JOIN (
            SELECT clinic_id, invoice_id AS id,
                sum(amount) FILTER (WHERE kind IN {literals(COUNTED_MOVEMENTS)}) AS amount,
                -coalesce(sum(amount) FILTER (WHERE kind = 'refund'), 0) AS refunded,
                -coalesce(sum(amount) FILTER (WHERE kind = 'dispute'), 0) AS disputed
            FROM movements GROUP BY clinic_id, invoice_id
        ) AS m USING (clinic_id, id)
        WHERE (i.settled_amount, i.refunded_amount, i.disputed_amount)
            <> (coalesce(m.amount, 0), coalesce(m.refunded, 0), coalesce(m.disputed, 0))
        """,
    ),
    "status_fits_the_amounts": (
        "An invoice's status is what its amounts and payments say",
        """
        SELECT i.clinic_id, i.id AS invoice_id, i.status, i.total_amount, i.settled_amount, i.refunded_amount
        FROM invoices AS i
        WHERE i.status <> 'void' AND i.status <> CASE
            WHEN i.settled_amount >= i.total_amount - i.credited_amount - i.written_off_amount THEN CASE
                WHEN i.settled_amount > 0 AND i.settled_amount <= i.refunded_amount THEN 'refunded'
                WHEN i.settled_amount > 0 OR i.total_amount = 0 THEN 'paid'
                WHEN i.written_off_amount > 0 THEN 'written_off'
                ELSE 'credited'
            END
            WHEN EXISTS (
                SELECT FROM invoice_payments AS p
                WHERE (p.clinic_id, p.invoice_id) = (i.clinic_id, i.id) AND p.state = 'processing'
            ) THEN 'processing'
            WHEN i.settled_amount > 0 THEN 'part_paid'
            ELSE 'unpaid'
        END
        """,
    ),
    "documents_make_the_sums": (
        "What is credited and written off of an invoice, and whether it is void, is what its documents say",
        """
        SELECT clinic_id, i.id AS invoice_id, i.status, i.credited_amount, i.written_off_amount, d.credited,
            d.written_off, d.voids
        FROM invoices AS i
        LEFT JOIN (
            SELECT clinic_id, invoice_id AS id,
                sum(total_amount) FILTER (WHERE kind = 'credit_note') AS credited,
                sum(total_amount) FILTER (WHERE kind = 'write_off') AS written_off,
                count(*) FILTER (WHERE kind = 'void') AS voids
            FROM invoice_documents GROUP BY clinic_id, invoice_id
        ) AS d USING (clinic_id, id)
        WHERE (i.credited_amount, i.written_off_amount)
                <> (coalesce(d.credited, 0), coalesce(d.written_off, 0))
            OR (i.status = 'void') <> (coalesce(d.voids, 0) = 1)
        """,
    ),
    "documents_within_their_taxes": (
        "A document's taxes sum to it, and all documents of an invoice take off no more of a tax than it charged",
        """
        WITH parts AS (
            SELECT clinic_id, document_id AS id, tax_codes, min(net_amount) AS net, sum(tax_amount) AS tax
            FROM invoice_document_taxes GROUP BY clinic_id, document_id, tax_codes
        ), sums AS (
            SELECT clinic_id, id, sum(net) AS net, sum(tax) AS tax FROM parts GROUP BY clinic_id, id
        ), taken AS (
            SELECT d.clinic_id, d.invoice_id, t.tax_code, sum(t.tax_amount) AS tax, sum(t.net_amount) AS net
            FROM invoice_documents AS d JOIN invoice_document_taxes AS t
                ON (t.clinic_id, t.document_id) = (d.clinic_id, d.id)
            GROUP BY 1, 2, 3
        ), charged AS (
            SELECT clinic_id, invoice_id, code AS tax_code, sum(tax) AS tax, sum(net_amount) AS net
            FROM invoice_lines AS l
            CROSS JOIN LATERAL (VALUES (tax_code, tax_amount), (second_tax_code, second_tax_amount))
                AS taxed (code, tax)
            WHERE EXISTS (
                SELECT FROM invoice_documents AS d
                WHERE (d.clinic_id, d.invoice_id) = (l.clinic_id, l.invoice_id)
            )
            GROUP BY 1, 2, 3
        )
        SELECT d.clinic_id, d.id AS document_id, NULL AS tax_code, d.net_amount, d.tax_amount
        FROM invoice_documents AS d LEFT JOIN sums AS s USING (clinic_id, id)
        WHERE (d.net_amount, d.tax_amount) IS DISTINCT FROM (s.net::bigint, s.tax::bigint)
        UNION ALL
        SELECT clinic_id, invoice_id, tax_code, taken.net::bigint, taken.tax::bigint
        FROM taken LEFT JOIN charged USING (clinic_id, invoice_id, tax_code)
        WHERE charged.tax IS NULL OR abs(taken.tax) > abs(charged.tax) OR abs(taken.net) > abs(charged.net)
        """,
    ),
    "being_checked_is_parked": (
        "An invoice is being checked while a movement of it is parked, and only then",
        """
        SELECT i.clinic_id, i.id AS invoice_id, i.being_checked FROM invoices AS i
        WHERE i.being_checked <> EXISTS (
            SELECT FROM parked AS p
            WHERE (p.clinic_id, p.aggregate_id) = (i.clinic_id, i.id)
                AND p.state = 'waiting' AND p.topic = 'payment.settled'
        )
        """,
    ),
    "movements_keep_the_currency": (
        "Money moves in its invoice's currency",
        """
        SELECT m.clinic_id, m.id AS movement_id, m.invoice_id, m.currency, i.currency AS invoice_currency
        FROM movements AS m JOIN invoices AS i ON (i.clinic_id, i.id) = (m.clinic_id, m.invoice_id)
        WHERE m.currency <> i.currency
        """,
    ),
    "settled_payments_are_known": (
        "A payment that has settled is not on its way any more",
        """
        SELECT m.clinic_id, m.invoice_id, m.payment_id, p.state
        FROM movements AS m
        LEFT JOIN invoice_payments AS p USING (clinic_id, invoice_id, payment_id)
        WHERE m.kind = 'payment' AND p.state IS DISTINCT FROM 'settled'
        """,
    ),
    "movements_are_claimed": (
        "A movement's event is claimed: it cannot have its effect again",
        """
        SELECT clinic_id, id AS movement_id, invoice_id, amount FROM movements
        WHERE booked_at > app_now() - interval '25 days'
            AND NOT EXISTS (SELECT FROM inbox WHERE consumer = 'invoice' AND event_id = movements.id)
        """,
    ),
}

_DOCUMENTS = {
    "documents_are_frozen": (
        "Every document has its seller as it was when it was issued, and the client whom it named, or their erasure",
        """
        SELECT i.clinic_id, i.id AS invoice_id, i.seller->>'name' AS seller, who.name IS NOT NULL AS names_a_client
        FROM invoices AS i
        LEFT JOIN invoice_identities AS who ON (who.clinic_id, who.invoice_id) = (i.clinic_id, i.id)
        WHERE coalesce(i.seller->>'name', '') = '' OR coalesce(i.locale, '') = '' OR coalesce(i.time_zone, '') = ''
            OR who.name IS NULL
            OR who.erased_at IS NOT NULL AND (i.note <> '' OR NOT EXISTS (
                SELECT FROM erasures AS e
                WHERE (e.clinic_id, e.kind, e.subject_id) = (i.clinic_id, 'invoice', i.id)
            ))
        """,
    ),
}

_NUMBERS = {
    "numbers_without_gaps": (
        "In each clinic and year, invoices are numbered without a gap from the first; lost invoices keep their numbers",
        """
        SELECT clinic_id, year, c.first_number, c.last_number, i.invoices, i.highest
        FROM invoice_counters AS c
        FULL JOIN (
            SELECT clinic_id, year, count(*) AS invoices, max(sequence) AS highest
            FROM (
                SELECT clinic_id, substring(number FROM '([0-9]{4})-[0-9]+$')::int AS year,
                    substring(number FROM '[0-9]+$')::bigint AS sequence
                FROM (
                    SELECT clinic_id, number FROM invoices UNION ALL SELECT clinic_id, number FROM lost_invoices
                ) AS issued
            ) AS numbered
            GROUP BY clinic_id, year
        ) AS i USING (clinic_id, year)
        WHERE c.last_number - c.first_number + 1 IS DISTINCT FROM i.invoices OR c.last_number IS DISTINCT FROM i.highest
        """,
    ),
    "credit_notes_without_gaps": (
        "In each clinic and year, credit notes are numbered from one without a gap; lost ones keep their numbers",
        """
        SELECT clinic_id, year, c.last_number, i.credit_notes, i.highest
        FROM credit_note_counters AS c
        FULL JOIN (
            SELECT clinic_id, split_part(number, '-', 2)::int AS year, count(*) AS credit_notes,
                max(split_part(number, '-', 3)::bigint) AS highest
            FROM (
                SELECT clinic_id, number FROM invoice_documents UNION ALL SELECT clinic_id, number FROM lost_documents
            ) AS made
            WHERE number IS NOT NULL
            GROUP BY clinic_id, split_part(number, '-', 2)
        ) AS i USING (clinic_id, year)
        WHERE c.last_number IS DISTINCT FROM i.credit_notes OR c.last_number IS DISTINCT FROM i.highest
        """,
    ),
    "numbers_of_their_year": (
        "An invoice's number names the year of its issue",
        """
        SELECT clinic_id, id AS invoice_id, number, issued_on FROM invoices
        WHERE substring(number FROM '([0-9]{4})-[0-9]+$')::int <> extract(year FROM issued_on)
        """,
    ),
}

CHECKS = tuple(
    Check(name, "invoice", says, sql) for name, (says, sql) in (_MONEY | _DOCUMENTS | _NUMBERS).items()
)
