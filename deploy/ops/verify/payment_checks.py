"""Invariants inside the payment service's database, true at any moment."""

from contracts.vocabulary import LIVE_PAYMENTS, PENDING_REFUNDS, PUBLISHED_PAYMENTS, RETURNED_REFUNDS
from deploy.ops.verify.checks import Check
from services.chassis.db.sql import literals

_BOOKS = {
    "entries_balance": (
        "Every entry's postings sum to zero in each currency",
        """
        SELECT clinic_id, entry_id, currency, sum(amount) AS off_by FROM postings
        GROUP BY clinic_id, entry_id, currency HAVING sum(amount) <> 0
        """,
    ),
    "books_balance": (
        "A clinic's postings sum to zero in each currency",
        """
        SELECT clinic_id, currency, sum(amount) AS off_by FROM postings
        GROUP BY clinic_id, currency HAVING sum(amount) <> 0
        """,
    ),
    "entries_have_postings": (
        "Every entry has postings",
        """
        SELECT clinic_id, id AS entry_id FROM entries
        WHERE NOT EXISTS (
            SELECT FROM postings WHERE postings.clinic_id = entries.clinic_id AND postings.entry_id = entries.id
        )
        """,
    ),
    "success_is_captured_once": (
        "Every payment that succeeded has exactly one capture entry, and no other payment has one",
        """
        SELECT clinic_id, p.id AS payment_id, p.status, coalesce(e.captures, 0) AS captures
        FROM payments AS p
        LEFT JOIN (
            SELECT clinic_id, payment_id AS id, count(*) AS captures FROM entries
            WHERE effect = 'capture' GROUP BY clinic_id, payment_id
        ) AS e USING (clinic_id, id)
        WHERE coalesce(e.captures, 0) <> CASE WHEN p.status = 'succeeded' THEN 1 ELSE 0 END
        """,
    ),
    "capture_is_the_payment": (
        "A capture is of its payment's intent, amount and currency",
        """
        SELECT e.clinic_id, e.id AS entry_id, p.id AS payment_id, p.amount, s.amount AS booked, e.stripe_object_id
        FROM entries AS e
        JOIN payments AS p ON (p.clinic_id, p.id) = (e.clinic_id, e.payment_id)
        LEFT JOIN (
            SELECT clinic_id, entry_id, sum(amount) AS amount, min(currency) AS currency FROM postings
            WHERE account = 'stripe' GROUP BY clinic_id, entry_id
        ) AS s ON (s.clinic_id, s.entry_id) = (e.clinic_id, e.id)
        WHERE e.effect = 'capture' AND (s.amount, s.currency, e.stripe_object_id)
            IS DISTINCT FROM (p.amount, p.currency, p.stripe_payment_intent_id)
        """,
    ),
    "receivables_are_shares": (
        "What a capture took off a payable is what the payment's share settled, and the rest is its client's credit",
        """
        SELECT clinic_id, payment_id, payable_id, s.amount AS share, b.amount AS booked
        FROM (
            SELECT clinic_id, payment_id, payable_id, settled_amount AS amount FROM allocations
            WHERE settled_amount <> 0
        ) AS s
        FULL JOIN (
            SELECT e.clinic_id, e.payment_id, p.payable_id, -sum(p.amount) AS amount
            FROM entries AS e JOIN postings AS p ON (p.clinic_id, p.entry_id) = (e.clinic_id, e.id)
            WHERE e.effect = 'capture' AND p.account = 'receivable'
            GROUP BY e.clinic_id, e.payment_id, p.payable_id
        ) AS b USING (clinic_id, payment_id, payable_id)
        WHERE s.amount IS DISTINCT FROM b.amount
        """,
    ),
    "credit_is_its_clients": (
        "A credit that a capture left is the payment's own client's",
        """
        SELECT e.clinic_id, e.id AS entry_id, p.id AS payment_id, p.client_id, c.client_id AS credited
        FROM entries AS e
        JOIN payments AS p ON (p.clinic_id, p.id) = (e.clinic_id, e.payment_id)
        JOIN postings AS c ON (c.clinic_id, c.entry_id) = (e.clinic_id, e.id) AND c.account = 'client_credit'
        WHERE c.client_id <> p.client_id
        """,
    ),
    "credit_is_not_overdrawn": (
        "No client has taken more credit than there was",
        """
        SELECT clinic_id, client_id, currency, -sum(amount) AS credit FROM postings
        WHERE account = 'client_credit'
        GROUP BY clinic_id, client_id, currency HAVING sum(amount) > 0
        """,
    ),
    "credit_balances_are_booked": (
        "A client's credit balance is the sum of what is booked of its credit",
        """
        SELECT clinic_id, client_id, currency, b.amount AS balance, p.amount AS booked
        FROM credit_balances AS b
        FULL JOIN (
            SELECT clinic_id, client_id, currency, -sum(amount) AS amount FROM postings
            WHERE account = 'client_credit' GROUP BY clinic_id, client_id, currency
        ) AS p USING (clinic_id, client_id, currency)
        WHERE coalesce(b.amount, 0) <> coalesce(p.amount, 0)
        """,
    ),
}

_SHARES = {
    "movements_are_shares": (
        "A payment's movement against a payable is what its share settled",
        """
        SELECT clinic_id, payment_id, payable_id, s.amount AS share, m.amount AS moved
        FROM (
            SELECT a.clinic_id, a.payment_id, a.payable_id, a.settled_amount AS amount, p.currency
            FROM allocations AS a JOIN payments AS p ON (p.clinic_id, p.id) = (a.clinic_id, a.payment_id)
            WHERE a.settled_amount <> 0
        ) AS s
        FULL JOIN (
            SELECT clinic_id, payment_id, payable_id, sum(amount) AS amount, min(currency) AS currency FROM movements
            WHERE kind = 'payment' GROUP BY clinic_id, payment_id, payable_id
        ) AS m USING (clinic_id, payment_id, payable_id)
        WHERE (s.amount, s.currency) IS DISTINCT FROM (m.amount, m.currency)
        """,
    ),
    "payables_are_moved": (
        "What is settled on a payable is the sum of its movements",
        """
        SELECT clinic_id, p.id AS payable_id, p.settled_amount, coalesce(m.amount, 0) AS moved
        FROM payables AS p
        LEFT JOIN (
            SELECT clinic_id, payable_id AS id, sum(amount) AS amount FROM movements GROUP BY clinic_id, payable_id
        ) AS m USING (clinic_id, id)
        WHERE p.settled_amount <> coalesce(m.amount, 0)
        """,
    ),
    "payables_not_overpaid": (
        "No more is settled on a payable than was due",
        """
        SELECT clinic_id, id AS payable_id, due_amount, settled_amount FROM payables
        WHERE settled_amount > due_amount
        """,
    ),
    "shares_make_the_payment": (
        "A payment's shares sum to its amount, unless Stripe takes or took another; they settled no more than it",
        """
        SELECT clinic_id, p.id AS payment_id, p.amount, coalesce(a.amount, 0) AS shares, a.settled
        FROM payments AS p
        LEFT JOIN (
            SELECT clinic_id, payment_id AS id, sum(amount) AS amount, sum(settled_amount) AS settled
            FROM allocations GROUP BY clinic_id, payment_id
        ) AS a USING (clinic_id, id)
        WHERE a.settled IS NULL OR p.amount < a.settled
            OR (p.status NOT IN ('processing', 'succeeded') AND p.amount <> a.amount)
        """,
    ),
    "shares_fit_the_status": (
        "Shares are settled when, and only when, the payment succeeded; a canceled one holds none",
        """
        SELECT clinic_id, payment_id, payable_id, p.status, a.state
        FROM allocations AS a JOIN payments AS p USING (clinic_id)
        WHERE p.id = a.payment_id AND (
            (p.status = 'succeeded') <> (a.state = 'settled') OR (p.status = 'canceled' AND a.state = 'open')
            OR (a.state <> 'settled' AND a.settled_amount <> 0)
        )
        """,
    ),
    "one_live_share": (
        "At most one live payment holds a payable",
        """
        SELECT clinic_id, payable_id, count(*) AS live FROM allocations
        WHERE state = 'open' GROUP BY clinic_id, payable_id HAVING count(*) > 1
        """,
    ),
    "reservations_have_an_intent": (
        "A reservation that is older than a day is of a live payment with an intent at Stripe",
        f"""
        SELECT a.clinic_id, a.payment_id, a.payable_id, p.status, p.created_at
        FROM allocations AS a JOIN payments AS p ON (p.clinic_id, p.id) = (a.clinic_id, a.payment_id)
        WHERE a.state = 'open' AND p.created_at < app_now() - interval '1 day'
            AND (p.stripe_payment_intent_id IS NULL OR p.status NOT IN {literals(LIVE_PAYMENTS)})
        """,
    ),
    "shares_stay_with_the_client": (
        "A payment is of its own client's payables, in their currency",
        """
        SELECT a.clinic_id, a.payment_id, a.payable_id, p.client_id, y.client_id AS owner, p.currency,
            y.currency AS payable_currency
        FROM allocations AS a
        JOIN payments AS p ON (p.clinic_id, p.id) = (a.clinic_id, a.payment_id)
        JOIN payables AS y ON (y.clinic_id, y.id) = (a.clinic_id, a.payable_id)
        WHERE (p.client_id, p.currency) <> (y.client_id, y.currency)
        """,
    ),
    "methods_stay_with_the_client": (
        "A payment is made with its own client's saved method, on the same Stripe account",
        """
        SELECT p.clinic_id, p.id AS payment_id, p.saved_method_id, p.client_id, m.client_id AS owner
        FROM payments AS p JOIN payment_methods AS m ON (m.clinic_id, m.id) = (p.clinic_id, p.saved_method_id)
        WHERE (p.client_id, p.account) <> (m.client_id, m.account)
        """,
    ),
    "versions_are_said": (
        "A payment that succeeded, failed, was canceled or is processing has said so",
        f"""
        SELECT clinic_id, id AS payment_id, status, version FROM payments
        WHERE version = 0 AND status IN {literals(PUBLISHED_PAYMENTS)}
        """,
    ),
}

_REFUNDS = {
    "refunds_are_booked_once": (
        "A refund set credit aside once, was paid out once if its money went, gave credit back once if not",
        f"""
        SELECT clinic_id, r.id AS refund_id, r.status, e.set_aside, e.paid, e.returned
        FROM refunds AS r
        LEFT JOIN (
            SELECT clinic_id, stripe_object_id AS idempotency_key,
                count(*) FILTER (WHERE effect = 'refund') AS set_aside,
                count(*) FILTER (WHERE effect = 'refund_paid') AS paid,
                count(*) FILTER (WHERE effect = 'refund_returned') AS returned
            FROM entries WHERE effect <> 'capture' GROUP BY clinic_id, stripe_object_id
        ) AS e USING (clinic_id, idempotency_key)
        WHERE (coalesce(e.set_aside, 0), coalesce(e.paid, 0), coalesce(e.returned, 0))
                <> (1, (refunded_at IS NOT NULL)::int, (status IN {literals(RETURNED_REFUNDS)})::int)
            OR (status = 'succeeded' AND refunded_at IS NULL)
        """,
    ),
    "refund_entries_are_the_refund": (
        "What is booked of a refund is its amount, of its payment and its client's credit",
        """
        SELECT e.clinic_id, e.id AS entry_id, e.effect, r.id AS refund_id, r.amount, s.amount AS booked, s.currency
        FROM entries AS e
        LEFT JOIN refunds AS r ON (r.clinic_id, r.idempotency_key) = (e.clinic_id, e.stripe_object_id)
        LEFT JOIN LATERAL (
            SELECT sum(amount) FILTER (WHERE amount > 0) AS amount, min(currency) AS currency,
                min(client_id::text) AS client_id
            FROM postings WHERE (postings.clinic_id, postings.entry_id) = (e.clinic_id, e.id)
        ) AS s ON true
        WHERE e.effect <> 'capture' AND (
            (s.amount, s.currency, e.payment_id) IS DISTINCT FROM (r.amount, r.currency, r.payment_id)
            OR s.client_id <> r.client_id::text
        )
        """,
    ),
    "refunds_are_within_the_surplus": (
        "No more goes back, or is on its way back, than a payment of the same client and currency left as credit",
        f"""
        SELECT p.clinic_id, p.id AS payment_id, p.amount, p.status, r.amount AS refunded, r.currency
        FROM (
            SELECT clinic_id, payment_id, client_id, currency, sum(amount) AS amount FROM refunds
            WHERE status NOT IN {literals(RETURNED_REFUNDS)} GROUP BY clinic_id, payment_id, client_id, currency
        ) AS r
        JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)
        WHERE p.status <> 'succeeded' OR (p.client_id, p.currency) <> (r.client_id, r.currency)
            OR r.amount > p.amount - (
                SELECT coalesce(sum(settled_amount), 0) FROM allocations AS a
                WHERE (a.clinic_id, a.payment_id) = (p.clinic_id, p.id)
            )
        """,
    ),
    "pending_refunds_are_the_account": (
        "What is booked as on its way back is what refunds on their way make: nothing once none is",
        f"""
        SELECT clinic_id, currency, coalesce(b.amount, 0) AS booked, coalesce(r.amount, 0) AS on_its_way
        FROM (
            SELECT clinic_id, currency, -sum(amount) AS amount FROM postings
            WHERE account = 'refund_pending' GROUP BY clinic_id, currency
        ) AS b
        FULL JOIN (
            SELECT clinic_id, currency, sum(amount) AS amount FROM refunds
            WHERE status IN {literals(PENDING_REFUNDS)} GROUP BY clinic_id, currency
        ) AS r USING (clinic_id, currency)
        WHERE coalesce(b.amount, 0) <> coalesce(r.amount, 0)
        """,
    ),
}

CHECKS = tuple(
    Check(name, "payment", says, sql) for name, (says, sql) in (_BOOKS | _SHARES | _REFUNDS).items()
)
