"""Invariants inside the invoice service's database, true at any moment."""

from deploy.ops.verify.checks import Check

_MONEY = {
    "lines_make_the_total": (
        "An invoice's lines sum to its subtotal and tax, and these with its rounding to its total",
        """
        SELECT clinic_id, i.id AS invoice_id, i.subtotal_amount, i.tax_amount, i.rounding_amount, l.net, l.tax
        FROM invoices AS i
        LEFT JOIN (
            SELECT clinic_id, invoice_id AS id, sum(net_amount) AS net, sum(tax_amount) AS tax
            FROM invoice_lines GROUP BY clinic_id, invoice_id
        ) AS l USING (clinic_id, id)
        WHERE (i.subtotal_amount, i.tax_amount) IS DISTINCT FROM (l.net, l.tax)
            OR i.total_amount <> i.subtotal_amount + i.tax_amount + i.rounding_amount
        """,
    ),
    "balance_is_moved": (
        "An invoice's balance is its total less its movements; what was refunded is the sum of its refunds",
        """
        SELECT clinic_id, i.id AS invoice_id, i.settled_amount, coalesce(m.amount, 0) AS moved,
            i.refunded_amount, coalesce(m.refunded, 0) AS refunds
        FROM invoices AS i
        LEFT JOIN (
            SELECT clinic_id, invoice_id AS id, sum(amount) AS amount,
                -coalesce(sum(amount) FILTER (WHERE kind = 'refund'), 0) AS refunded
            FROM movements GROUP BY clinic_id, invoice_id
        ) AS m USING (clinic_id, id)
        WHERE (i.settled_amount, i.refunded_amount) <> (coalesce(m.amount, 0), coalesce(m.refunded, 0))
        """,
    ),
    "status_fits_the_amounts": (
        "An invoice's status is what its amounts and payments say",
        """
        SELECT i.clinic_id, i.id AS invoice_id, i.status, i.total_amount, i.settled_amount, i.refunded_amount
        FROM invoices AS i
        WHERE i.status <> 'void' AND i.status <> CASE
            WHEN i.settled_amount >= i.total_amount THEN 'paid'
            WHEN i.refunded_amount > 0 AND i.settled_amount <= 0 THEN 'refunded'
            WHEN EXISTS (
                SELECT FROM invoice_payments AS p
                WHERE (p.clinic_id, p.invoice_id) = (i.clinic_id, i.id) AND p.state = 'processing'
            ) THEN 'processing'
            WHEN i.settled_amount > 0 THEN 'part_paid'
            ELSE 'unpaid'
        END
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
            OR who.erased_at IS NOT NULL AND NOT EXISTS (
                SELECT FROM erasures AS e
                WHERE (e.clinic_id, e.kind, e.subject_id) = (i.clinic_id, 'invoice', i.id)
            )
        """,
    ),
}

_NUMBERS = {
    "numbers_without_gaps": (
        "In each clinic and year, invoices are numbered from one without a gap; lost invoices keep their numbers",
        """
        SELECT clinic_id, year, c.last_number, i.invoices, i.highest
        FROM invoice_counters AS c
        FULL JOIN (
            SELECT clinic_id, split_part(number, '-', 1)::int AS year, count(*) AS invoices,
                max(split_part(number, '-', 2)::bigint) AS highest
            FROM (
                SELECT clinic_id, number FROM invoices UNION ALL SELECT clinic_id, number FROM lost_invoices
            ) AS issued
            GROUP BY clinic_id, split_part(number, '-', 1)
        ) AS i USING (clinic_id, year)
        WHERE c.last_number IS DISTINCT FROM i.invoices OR c.last_number IS DISTINCT FROM i.highest
        """,
    ),
    "numbers_of_their_year": (
        "An invoice's number begins with the year of its issue",
        """
        SELECT clinic_id, id AS invoice_id, number, issued_on FROM invoices
        WHERE split_part(number, '-', 1)::int <> extract(year FROM issued_on)
        """,
    ),
}

CHECKS = tuple(
    Check(name, "invoice", says, sql) for name, (says, sql) in (_MONEY | _DOCUMENTS | _NUMBERS).items()
)
