"""Every statement that erases a client here. Rows of money are never touched."""

from contracts.vocabulary import LIVE_PAYMENTS
from services.chassis.db.database import Connection
from services.chassis.db.sql import literals
from services.payment.erasures.domain import Erased, Held, Known

_METHODS = """(
    SELECT * FROM payment_methods WHERE clinic_id = $1 AND client_id = $2 AND removed_at IS NULL
    UNION ALL
    SELECT * FROM payment_methods WHERE clinic_id = $1 AND client_id = $2 AND removed_at IS NOT NULL
)"""
"""All methods of the client: each half has an index of its own."""
_OLD = f"SELECT clinic_id, id FROM {_METHODS} AS m WHERE m.created_at <= $3"


async def read_known(tx: Connection, erased: Erased) -> Known:
    pays = await tx.fetchval(
        f"""
        SELECT EXISTS (
            SELECT FROM payments WHERE (clinic_id, client_id) = ($1, $2) AND status IN {literals(LIVE_PAYMENTS)}
        )
        """,
        erased.clinic_id,
        erased.client_id,
    )
    rows = await tx.fetch(
        f"""
        WITH newer AS (
            SELECT account FROM payments WHERE (clinic_id, client_id) = ($1, $2) AND created_at > $3
            UNION SELECT account FROM {_METHODS} AS m WHERE m.created_at > $3
        ), old AS (
            SELECT account, stripe_payment_method_id AS name FROM {_METHODS} AS m
            WHERE m.created_at <= $3 AND stripe_payment_method_id <> 'erased-' || m.id
        )
        SELECT account, (
                SELECT stripe_customer_id FROM customers AS c
                WHERE (c.clinic_id, c.client_id, c.account) = ($1, $2, places.account)
                    AND account NOT IN (SELECT account FROM newer)
            ) AS customer, ARRAY(
                SELECT name FROM old WHERE old.account = places.account AND account IN (SELECT account FROM newer)
                ORDER BY name
            ) AS methods
        FROM (
            SELECT account FROM customers WHERE (clinic_id, client_id) = ($1, $2) UNION SELECT account FROM old
        ) AS places
        ORDER BY account
        """,
        erased.clinic_id,
        erased.client_id,
        erased.erased_at,
    )
    held = (Held(row["account"], row["customer"], tuple(row["methods"])) for row in rows)
    return Known(tuple(held), pays)


async def lock_client(tx: Connection, erased: Erased) -> None:
    """Keep others from changing the client's customers and methods, in `locks.ORDER`."""
    await tx.execute(
        """
        SELECT FROM customers WHERE (clinic_id, client_id) = ($1, $2)
        ORDER BY account, stripe_customer_id FOR UPDATE
        """,
        erased.clinic_id,
        erased.client_id,
    )
    await tx.execute(
        f"""
        SELECT FROM payment_methods WHERE (clinic_id, id) IN ({_OLD})
        ORDER BY account, stripe_payment_method_id FOR NO KEY UPDATE
        """,
        erased.clinic_id,
        erased.client_id,
        erased.erased_at,
    )


async def blank_client(tx: Connection, erased: Erased) -> None:
    """Blank the client's methods from before the erasure, end the consents to charge them, and delete notices.

    Also what staff wrote about payments that they recorded. Only the ids at Stripe stay, for as long as Stripe is to
    be asked.
    """
    who = (erased.clinic_id, erased.client_id, erased.erased_at)
    await tx.execute(
        f"""
        WITH blank AS (
            UPDATE payment_methods SET brand = NULL, last4 = NULL, exp_month = NULL, exp_year = NULL,
                fingerprint = NULL, nickname = '', doubtful = false, removed_at = coalesce(removed_at, app_now())
            WHERE (clinic_id, id) IN ({_OLD}) RETURNING clinic_id, id
        )
        UPDATE consents SET withdrawn_at = app_now() FROM blank
        WHERE (consents.clinic_id, consents.payment_method_id) = (blank.clinic_id, blank.id) AND withdrawn_at IS NULL
        """,
        *who,
    )
    await tx.execute(
        """
        UPDATE recorded_payments AS r
        SET reference = '', reversal_reason = CASE WHEN r.reversed_at IS NOT NULL THEN '…' END
        FROM payments AS p
        WHERE (p.clinic_id, p.client_id) = ($1, $2) AND p.created_at <= $3
            AND (r.clinic_id, r.payment_id) = (p.clinic_id, p.id)
        """,
        *who,
    )
    await tx.execute(
        "DELETE FROM expiry_notices WHERE (clinic_id, client_id) = ($1, $2) AND published_at <= $3", *who
    )


async def forget_held(tx: Connection, erased: Erased, held: Held) -> None:
    """Forget the ids at Stripe of what it has deleted on one account."""
    await tx.execute(
        f"""
        UPDATE payment_methods SET stripe_payment_method_id = 'erased-' || id, brand = NULL, last4 = NULL,
            exp_month = NULL, exp_year = NULL, fingerprint = NULL, doubtful = false
        WHERE (clinic_id, id) IN ({_OLD}) AND account = $4
        """,
        erased.clinic_id,
        erased.client_id,
        erased.erased_at,
        held.account,
    )
    if held.customer is not None:
        await tx.execute(
            """
            UPDATE customers SET stripe_customer_id = NULL, default_method_id = NULL,
                idempotency_key = 'customer-' || gen_random_uuid()
            WHERE (clinic_id, client_id, account) = ($1, $2, $3)
            """,
            erased.clinic_id,
            erased.client_id,
            held.account,
        )
