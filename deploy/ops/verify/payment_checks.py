"""Invariants inside the payment service's database, true at any moment."""

from contracts.vocabulary import (
    COUNTED_MOVEMENTS,
    LIVE_PAYMENTS,
    OUTSIDE_KINDS,
    PUBLISHED_PAYMENTS,
    RESERVED_REFUNDS,
    RETURNED_REFUNDS,
)
from deploy.ops.verify.checks import Check
from services.chassis.db.sql import literals

_OF_SUCCESSES = literals(("capture", "record", "credit_used"))
"""The effects with which a payment's money is booked: what Stripe took, what staff recorded, credit that was used."""
_OF_REFUNDS = literals(("refund", "refund_paid", "refund_credited", "refund_returned"))
"""The effects of the entries that a refund makes."""

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
        "Every payment that succeeded is booked exactly once as such, and no other payment is",
        f"""
        SELECT clinic_id, p.id AS payment_id, p.status, coalesce(e.captures, 0) AS captures
        FROM payments AS p
        LEFT JOIN (
            SELECT clinic_id, payment_id AS id, count(*) AS captures FROM entries
            WHERE effect IN {_OF_SUCCESSES} GROUP BY clinic_id, payment_id
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
        f"""
        SELECT clinic_id, payment_id, payable_id, s.amount AS share, b.amount AS booked
        FROM (
            SELECT clinic_id, payment_id, payable_id, settled_amount AS amount FROM allocations
            WHERE settled_amount <> 0
        ) AS s
        FULL JOIN (
            SELECT e.clinic_id, e.payment_id, p.payable_id, -sum(p.amount) AS amount
            FROM entries AS e JOIN postings AS p ON (p.clinic_id, p.entry_id) = (e.clinic_id, e.id)
            WHERE e.effect IN {_OF_SUCCESSES} AND p.account = 'receivable'
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

_CREDIT = {
    "reserved_credit_is_of_open_shares": (
        "Credit that is booked as reserved for a payment is what its open shares reserve: nothing once it has ended",
        """
        SELECT clinic_id, cause, sum(reserved) AS reserved, sum(booked) AS booked
        FROM (
            SELECT a.clinic_id, p.idempotency_key AS cause, a.credit_amount AS reserved, 0 AS booked
            FROM allocations AS a JOIN payments AS p ON (p.clinic_id, p.id) = (a.clinic_id, a.payment_id)
            WHERE a.state = 'open' AND a.credit_amount > 0
            UNION ALL
            SELECT e.clinic_id, e.stripe_object_id, 0, -p.amount
            FROM entries AS e JOIN postings AS p ON (p.clinic_id, p.entry_id) = (e.clinic_id, e.id)
            WHERE p.account = 'credit_reserved'
        ) AS sides
        GROUP BY clinic_id, cause HAVING sum(reserved) <> sum(booked)
        """,
    ),
    "used_credit_is_a_payment": (
        "Credit that was used with a charge is a payment by credit of the same payables",
        """
        SELECT clinic_id, cause, payable_id, a.amount AS used, p.amount AS paid
        FROM (
            SELECT clinic_id, 'credit-' || payment_id AS cause, payable_id, used_credit_amount AS amount
            FROM allocations WHERE used_credit_amount <> 0
        ) AS a
        FULL JOIN (
            SELECT p.clinic_id, p.idempotency_key AS cause, s.payable_id, s.settled_amount AS amount
            FROM payments AS p JOIN allocations AS s ON (s.clinic_id, s.payment_id) = (p.clinic_id, p.id)
            WHERE p.kind = 'credit' AND p.idempotency_key LIKE 'credit-%'
        ) AS p USING (clinic_id, cause, payable_id)
        WHERE a.amount IS DISTINCT FROM p.amount
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
            WHERE kind = 'payment' OR kind = 'credit' AND amount > 0 GROUP BY clinic_id, payment_id, payable_id
        ) AS m USING (clinic_id, payment_id, payable_id)
        WHERE (s.amount, s.currency) IS DISTINCT FROM (m.amount, m.currency)
        """,
    ),
    "payables_are_moved": (
        "What is settled on a payable is the sum of its movements that count",
        f"""
        SELECT clinic_id, p.id AS payable_id, p.settled_amount, coalesce(m.amount, 0) AS moved
        FROM payables AS p
        LEFT JOIN (
            SELECT clinic_id, payable_id AS id, sum(amount) AS amount FROM movements
            WHERE kind IN {literals(COUNTED_MOVEMENTS)} GROUP BY clinic_id, payable_id
        ) AS m USING (clinic_id, id)
        WHERE p.settled_amount <> coalesce(m.amount, 0)
        """,
    ),
    "payables_not_overpaid": (
        "No more is kept on a payable than is due: the rest is credit",
        """
        SELECT clinic_id, id AS payable_id, status, due_amount, settled_amount, returned_amount FROM payables
        WHERE settled_amount - returned_amount > CASE status WHEN 'void' THEN 0 ELSE due_amount END
        """,
    ),
    "excess_is_credit": (
        "What was moved off a payable is booked, and published, as its client's credit",
        """
        SELECT clinic_id, payment_id, payable_id, a.amount AS moved, e.amount AS booked, m.amount AS published
        FROM (
            SELECT clinic_id, payment_id, payable_id, moved_amount AS amount FROM allocations WHERE moved_amount <> 0
        ) AS a
        FULL JOIN (
            SELECT e.clinic_id, e.payment_id, p.payable_id, sum(p.amount) AS amount
            FROM entries AS e JOIN postings AS p ON (p.clinic_id, p.entry_id) = (e.clinic_id, e.id)
            WHERE e.effect = 'excess' AND p.account = 'receivable'
            GROUP BY e.clinic_id, e.payment_id, p.payable_id
        ) AS e USING (clinic_id, payment_id, payable_id)
        FULL JOIN (
            SELECT clinic_id, payment_id, payable_id, -sum(amount) AS amount FROM movements
            WHERE kind = 'credit' AND amount < 0 GROUP BY clinic_id, payment_id, payable_id
        ) AS m USING (clinic_id, payment_id, payable_id)
        WHERE a.amount IS DISTINCT FROM e.amount OR a.amount IS DISTINCT FROM m.amount
        """,
    ),
    "shares_make_the_payment": (
        "Shares sum to their payment, unless Stripe takes another sum; they settled no more; a deposit has none",
        f"""
        SELECT clinic_id, p.id AS payment_id, p.amount, coalesce(a.amount, 0) AS shares, a.settled
        FROM payments AS p
        LEFT JOIN (
            SELECT clinic_id, payment_id AS id, sum(amount) AS amount, sum(settled_amount) AS settled
            FROM allocations GROUP BY clinic_id, payment_id
        ) AS a USING (clinic_id, id)
        WHERE p.amount < coalesce(a.settled, 0) OR p.deposit AND a.settled IS NOT NULL
            OR a.settled IS NULL AND NOT p.deposit AND p.kind NOT IN {literals(OUTSIDE_KINDS)}
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
    "debits_are_agreed": (
        "Each debit of a bank account that was begun here has its holder's consent",
        """
        SELECT clinic_id, p.id AS payment_id, p.status, p.kind FROM payments AS p
        WHERE p.kind = 'debit' AND p.intent_made AND NOT EXISTS (
            SELECT FROM consents AS c
            WHERE c.clinic_id = p.clinic_id AND c.client_id = p.client_id AND c.payment_id = p.id AND c.kind = 'debit'
        )
        """,
    ),
    "consents_end_with_their_methods": (
        "A consent to later charges is of its saved method's client and account, and withdrawn once that is removed",
        """
        SELECT c.clinic_id, c.id AS consent_id, c.payment_method_id, c.withdrawn_at, m.removed_at
        FROM consents AS c JOIN payment_methods AS m ON (m.clinic_id, m.id) = (c.clinic_id, c.payment_method_id)
        WHERE (c.withdrawn_at IS NULL) <> (m.removed_at IS NULL) OR (c.client_id, c.account) <> (m.client_id, m.account)
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
        WHERE version = 0 AND status IN {literals(PUBLISHED_PAYMENTS)} AND kind <> 'credit'
        """,
    ),
}

_OUTSIDE = {
    "records_are_the_payment": (
        "A recorded payment is booked with its amount on its kind's account, and the other way if taken back",
        """
        SELECT p.clinic_id, p.id AS payment_id, p.kind, p.amount, e.recorded, e.taken_back, r.reversed_at
        FROM recorded_payments AS r
        JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)
        LEFT JOIN (
            SELECT e.clinic_id, e.payment_id, s.account, sum(s.amount) FILTER (WHERE effect = 'record') AS recorded,
                coalesce(-sum(s.amount) FILTER (WHERE effect = 'record_reversed'), 0) AS taken_back
            FROM entries AS e JOIN postings AS s ON (s.clinic_id, s.entry_id) = (e.clinic_id, e.id)
            WHERE e.effect IN ('record', 'record_reversed') GROUP BY e.clinic_id, e.payment_id, s.account
        ) AS e ON (e.clinic_id, e.payment_id) = (p.clinic_id, p.id)
            AND e.account = CASE p.kind WHEN 'bank_transfer' THEN 'bank' ELSE p.kind END
        WHERE e.recorded IS DISTINCT FROM p.amount
            OR coalesce(e.taken_back, 0) <> CASE WHEN r.reversed_at IS NULL THEN 0 ELSE p.amount END
        """,
    ),
    "reversals_are_shares": (
        "What was taken back of a payable is what its movements say",
        """
        SELECT clinic_id, payment_id, payable_id, a.amount AS taken_back, m.amount AS moved
        FROM (
            SELECT clinic_id, payment_id, payable_id, reversed_amount AS amount FROM allocations
            WHERE reversed_amount <> 0
        ) AS a
        FULL JOIN (
            SELECT clinic_id, payment_id, payable_id, -sum(amount) AS amount FROM movements
            WHERE kind = 'reversal' GROUP BY clinic_id, payment_id, payable_id
        ) AS m USING (clinic_id, payment_id, payable_id)
        WHERE a.amount IS DISTINCT FROM m.amount
        """,
    ),
    "cash_is_counted_once": (
        "A count of cash holds what was taken since the one before, less what was taken back",
        """
        SELECT clinic_id, id AS closing_id, c.expected_amount, s.amount AS taken
        FROM cash_closings AS c
        LEFT JOIN (
            SELECT clinic_id, closing_id AS id, sum(amount) AS amount FROM (
                SELECT r.clinic_id, r.closing_id, p.amount
                FROM recorded_payments AS r JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)
                WHERE r.closing_id IS NOT NULL
                UNION ALL
                SELECT r.clinic_id, r.reversal_closing_id, -p.amount
                FROM recorded_payments AS r JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)
                WHERE r.reversal_closing_id IS NOT NULL
            ) AS counted GROUP BY clinic_id, closing_id
        ) AS s USING (clinic_id, id)
        WHERE c.expected_amount <> coalesce(s.amount, 0)
        """,
    ),
}

_REFUNDS = {
    "refunds_are_booked_once": (
        "A refund set money aside once, was paid out or credited once if it went, gave it back once if not",
        f"""
        SELECT clinic_id, r.id AS refund_id, r.status, r.destination, e.set_aside, e.paid, e.credited, e.returned
        FROM refunds AS r
        LEFT JOIN (
            SELECT clinic_id, stripe_object_id AS idempotency_key,
                count(*) FILTER (WHERE effect = 'refund') AS set_aside,
                count(*) FILTER (WHERE effect = 'refund_paid') AS paid,
                count(*) FILTER (WHERE effect = 'refund_credited') AS credited,
                count(*) FILTER (WHERE effect = 'refund_returned') AS returned
            FROM entries WHERE effect IN {_OF_REFUNDS} GROUP BY clinic_id, stripe_object_id
        ) AS e USING (clinic_id, idempotency_key)
        WHERE (
                coalesce(e.set_aside, 0), coalesce(e.paid, 0), coalesce(e.credited, 0), coalesce(e.returned, 0)
            ) <> (
                1, (refunded_at IS NOT NULL AND destination = 'method')::int,
                (refunded_at IS NOT NULL AND destination = 'credit')::int,
                (status IN {literals(RETURNED_REFUNDS)})::int
            )
            OR (status = 'succeeded' AND refunded_at IS NULL)
        """,
    ),
    "held_refunds_have_acts": (
        "A held refund has its act with its amount, and an act of a refund that is held has its refund",
        """
        WITH held AS MATERIALIZED (
            SELECT * FROM refunds AS r WHERE status = 'held' AND NOT EXISTS (
                SELECT FROM tasks AS t
                WHERE (t.clinic_id, t.kind, t.key, t.state) = (r.clinic_id, 'reject_refund', r.id, 'due')
            )
        ), acts AS MATERIALIZED (
            SELECT * FROM held_acts WHERE kind = 'refund' AND state = 'held'
        )
        SELECT r.clinic_id, r.act_id, r.id AS refund_id, r.amount FROM held AS r
        WHERE NOT EXISTS (
            SELECT FROM acts AS a WHERE (a.clinic_id, a.id, a.subject_id) = (r.clinic_id, r.act_id, r.payment_id)
                AND coalesce((a.request->>'amount')::bigint, r.amount) = r.amount
        )
        UNION ALL
        SELECT a.clinic_id, a.id, NULL, NULL FROM acts AS a
        WHERE NOT EXISTS (SELECT FROM held AS r WHERE (r.clinic_id, r.act_id) = (a.clinic_id, a.id))
        """,
    ),
    "refund_entries_are_the_refund": (
        "What is booked of a refund is its amount, of its payment and its client's credit",
        f"""
        SELECT e.clinic_id, e.id AS entry_id, e.effect, r.id AS refund_id, r.amount, s.amount AS booked, s.currency
        FROM entries AS e
        LEFT JOIN refunds AS r ON (r.clinic_id, r.idempotency_key) = (e.clinic_id, e.stripe_object_id)
        LEFT JOIN LATERAL (
            SELECT sum(amount) FILTER (WHERE amount > 0) AS amount, min(currency) AS currency,
                min(client_id::text) AS client_id
            FROM postings WHERE (postings.clinic_id, postings.entry_id) = (e.clinic_id, e.id)
        ) AS s ON true
        WHERE e.effect IN {_OF_REFUNDS} AND (
            (s.amount, s.currency, e.payment_id) IS DISTINCT FROM (r.amount, r.currency, r.payment_id)
            OR s.client_id <> r.client_id::text
        )
        """,
    ),
    "refunds_are_within_the_surplus": (
        "No more credit goes back, or is on its way back, than a payment of the same client and currency left",
        f"""
        SELECT p.clinic_id, p.id AS payment_id, p.amount, p.status, r.amount AS refunded, r.currency
        FROM (
            SELECT clinic_id, payment_id, client_id, currency,
                coalesce(sum(amount - coalesce(s.shared, 0)) FILTER (WHERE destination = 'method'), 0) AS amount,
                coalesce(sum(amount) FILTER (WHERE destination = 'credit' AND status = 'succeeded'), 0) AS to_credit,
                bool_or(amount < s.shared OR (destination = 'credit' AND amount <> coalesce(s.shared, 0))) AS wrong
            FROM refunds LEFT JOIN (
                SELECT clinic_id, refund_id AS id, sum(amount) AS shared FROM refund_shares
                GROUP BY clinic_id, refund_id
            ) AS s USING (clinic_id, id)
            WHERE status NOT IN {literals(RETURNED_REFUNDS)} GROUP BY clinic_id, payment_id, client_id, currency
        ) AS r
        JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)
        WHERE p.status <> 'succeeded' OR (p.client_id, p.currency) <> (r.client_id, r.currency) OR r.wrong
            OR r.amount > p.amount + r.to_credit - (
                SELECT coalesce(sum(settled_amount - moved_amount), 0) FROM allocations AS a
                WHERE (a.clinic_id, a.payment_id) = (p.clinic_id, p.id)
            )
        """,
    ),
    "refunded_shares_are_booked": (
        "What refunds took of a payment's part of a payable is booked as refunded, and counted there",
        f"""
        SELECT clinic_id, payment_id, payable_id, r.amount AS refunded, a.amount AS counted, b.amount AS booked
        FROM (
            SELECT s.clinic_id, r.payment_id, s.payable_id, sum(s.amount) AS amount
            FROM refund_shares AS s JOIN refunds AS r ON (r.clinic_id, r.id) = (s.clinic_id, s.refund_id)
            WHERE r.status NOT IN {literals(RETURNED_REFUNDS)} GROUP BY s.clinic_id, r.payment_id, s.payable_id
        ) AS r
        FULL JOIN (
            SELECT clinic_id, payment_id, payable_id, refunded_amount AS amount FROM allocations
            WHERE refunded_amount <> 0
        ) AS a USING (clinic_id, payment_id, payable_id)
        FULL JOIN (
            SELECT e.clinic_id, e.payment_id, p.payable_id, sum(p.amount) AS amount
            FROM entries AS e JOIN postings AS p ON (p.clinic_id, p.entry_id) = (e.clinic_id, e.id)
            WHERE e.effect IN {_OF_REFUNDS} AND p.account = 'refunded'
            GROUP BY e.clinic_id, e.payment_id, p.payable_id HAVING sum(p.amount) <> 0
        ) AS b USING (clinic_id, payment_id, payable_id)
        WHERE r.amount IS DISTINCT FROM a.amount OR r.amount IS DISTINCT FROM b.amount
        """,
    ),
    "refund_movements_are_shares": (
        "A refund's share moved off its payable once its money went, and on to it again if that came back",
        f"""
        SELECT clinic_id, cause, payable_id, s.amount AS share, m.amount AS moved
        FROM (
            SELECT s.clinic_id, r.idempotency_key AS cause, s.payable_id, -s.amount AS amount, r.currency
            FROM refund_shares AS s JOIN refunds AS r ON (r.clinic_id, r.id) = (s.clinic_id, s.refund_id)
            WHERE r.refunded_at IS NOT NULL
            UNION ALL
            SELECT s.clinic_id, r.idempotency_key || ':returned', s.payable_id, s.amount, r.currency
            FROM refund_shares AS s JOIN refunds AS r ON (r.clinic_id, r.id) = (s.clinic_id, s.refund_id)
            WHERE r.refunded_at IS NOT NULL AND r.status IN {literals(RETURNED_REFUNDS)}
        ) AS s
        FULL JOIN (
            SELECT clinic_id, stripe_object_id AS cause, payable_id, sum(amount) AS amount, min(currency) AS currency
            FROM movements WHERE kind = 'refund' GROUP BY clinic_id, stripe_object_id, payable_id
        ) AS m USING (clinic_id, cause, payable_id)
        WHERE (s.amount, s.currency) IS DISTINCT FROM (m.amount, m.currency)
        """,
    ),
    "payables_are_returned": (
        "What was returned of a payable is what refunds and disputes took of its payments' parts",
        """
        SELECT clinic_id, p.id AS payable_id, p.returned_amount, coalesce(a.amount, 0) AS taken
        FROM payables AS p
        LEFT JOIN (
            SELECT clinic_id, payable_id AS id, sum(refunded_amount + disputed_amount) AS amount
            FROM allocations GROUP BY clinic_id, payable_id
        ) AS a USING (clinic_id, id)
        WHERE p.returned_amount <> coalesce(a.amount, 0)
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
            WHERE status IN {literals(RESERVED_REFUNDS)} GROUP BY clinic_id, currency
        ) AS r USING (clinic_id, currency)
        WHERE coalesce(b.amount, 0) <> coalesce(r.amount, 0)
        """,
    ),
}

_OF_DISPUTES = literals(("dispute", "dispute_returned", "dispute_reopened"))
"""The effects of the entries that a dispute's money makes."""

_DISPUTES = {
    "disputes_are_booked": (
        "What disputes hold of receivables, of nothing that was kept, and as fees is what is booked",
        """
        SELECT clinic_id, account, currency, coalesce(d.amount, 0) AS held, coalesce(b.amount, 0) AS booked
        FROM (
            SELECT clinic_id, account, currency, sum(amount) AS amount FROM (
                SELECT s.clinic_id, 'disputed' AS account, d.currency, s.taken_amount AS amount
                FROM dispute_shares AS s JOIN disputes AS d ON (d.clinic_id, d.id) = (s.clinic_id, s.dispute_id)
                UNION ALL SELECT clinic_id, 'disputed_rest', currency, rest_amount FROM disputes
                UNION ALL SELECT clinic_id, 'dispute_fee', currency, fee FROM dispute_transactions
                WHERE booked_at IS NOT NULL
            ) AS held GROUP BY clinic_id, account, currency
        ) AS d
        FULL JOIN (
            SELECT clinic_id, account, currency, sum(amount) AS amount FROM postings
            WHERE account IN ('disputed', 'disputed_rest', 'dispute_fee') GROUP BY clinic_id, account, currency
        ) AS b USING (clinic_id, account, currency)
        WHERE coalesce(d.amount, 0) <> coalesce(b.amount, 0)
        """,
    ),
    "dispute_transactions_are_booked_once": (
        "Each balance transaction of a dispute whose payment succeeded is booked by one entry, but for its fee",
        f"""
        SELECT t.clinic_id, t.id, t.dispute_id, t.amount, t.booked_at, count(e.id) AS entries
        FROM dispute_transactions AS t
        LEFT JOIN entries AS e ON (e.clinic_id, e.stripe_object_id) = (t.clinic_id, t.id) AND e.effect IN {_OF_DISPUTES}
        GROUP BY t.clinic_id, t.id, t.dispute_id, t.amount, t.booked_at
        HAVING count(e.id) <> (t.amount <> 0 AND t.booked_at IS NOT NULL)::int
        """,
    ),
    "evidence_is_queued": (
        "Evidence that is being sent to a bank has its task in the queue",
        """
        SELECT clinic_id, id, dispute_id, state FROM evidence_submissions AS s
        WHERE state = 'sending' AND NOT EXISTS (
            SELECT FROM tasks AS t WHERE (t.clinic_id, t.kind, t.key) = (s.clinic_id, 'submit_evidence', s.id)
                AND t.state = 'due'
        )
        """,
    ),
    "disputed_shares_are_moved": (
        "What disputes hold of a payment's part of a payable is counted there, and is what its movements make",
        """
        SELECT clinic_id, payment_id, payable_id, a.disputed_amount AS counted, d.taken, m.amount AS moved,
            d.reopened
        FROM (
            SELECT clinic_id, payment_id, payable_id, disputed_amount FROM allocations
            WHERE disputed_amount <> 0
        ) AS a
        FULL JOIN (
            SELECT s.clinic_id, d.payment_id, s.payable_id, sum(s.taken_amount) AS taken,
                sum(s.reopened_amount) AS reopened
            FROM dispute_shares AS s JOIN disputes AS d ON (d.clinic_id, d.id) = (s.clinic_id, s.dispute_id)
            GROUP BY s.clinic_id, d.payment_id, s.payable_id
        ) AS d USING (clinic_id, payment_id, payable_id)
        FULL JOIN (
            SELECT clinic_id, payment_id, payable_id, -sum(amount) AS amount FROM movements
            WHERE kind = 'dispute' GROUP BY clinic_id, payment_id, payable_id
        ) AS m USING (clinic_id, payment_id, payable_id)
        WHERE coalesce(a.disputed_amount, 0) <> coalesce(d.taken, 0)
            OR coalesce(d.taken, 0) <> coalesce(m.amount, 0)
        """,
    ),
}

CHECKS = tuple(
    Check(name, "payment", says, sql)
    for name, (says, sql) in (_BOOKS | _CREDIT | _SHARES | _OUTSIDE | _REFUNDS | _DISPUTES).items()
)
