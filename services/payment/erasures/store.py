"""Every statement that erases a client here. Rows of money are never touched."""

from contracts.vocabulary import LIVE_PAYMENTS
from services.chassis.db.database import Connection
from services.chassis.db.sql import literals
from services.payment.erasures.domain import Erased, Known

_BLANK = """
    stripe_payment_method_id = 'erased-' || id, brand = NULL, last4 = NULL, exp_month = NULL, exp_year = NULL,
    fingerprint = NULL, nickname = '', doubtful = false, removed_at = coalesce(removed_at, app_now())
"""
_THEIRS = """(
    SELECT clinic_id, id FROM payment_methods WHERE clinic_id = $1 AND client_id = $2 AND removed_at IS NULL
    UNION ALL
    SELECT clinic_id, id FROM payment_methods WHERE clinic_id = $1 AND client_id = $2 AND removed_at IS NOT NULL
)"""
"""All methods of the client: each half has an index of its own."""


async def read_known(tx: Connection, erased: Erased) -> Known:
    row = await tx.fetchrow(
        f"""
        SELECT
            EXISTS (
                SELECT FROM payments WHERE (clinic_id, client_id) = ($1, $2) AND status IN {literals(LIVE_PAYMENTS)}
            ) AS pays,
            EXISTS (SELECT FROM payments WHERE (clinic_id, client_id) = ($1, $2) AND created_at > $3)
            OR EXISTS (
                SELECT FROM payment_methods WHERE (clinic_id, id) IN {_THEIRS} AND created_at > $3
            ) AS came_back
        """,
        erased.clinic_id,
        erased.client_id,
        erased.erased_at,
    )
    customers = await tx.fetch(
        """
        SELECT account, stripe_customer_id FROM customers
        WHERE (clinic_id, client_id) = ($1, $2) AND stripe_customer_id IS NOT NULL
        ORDER BY account
        """,
        erased.clinic_id,
        erased.client_id,
    )
    assert row is not None
    return Known(tuple((account, name) for account, name in customers), row["pays"], row["came_back"])


async def lock_client(tx: Connection, erased: Erased) -> None:
    """Keep others from changing the client's customers and methods, in `locks.ORDER`."""
    who = (erased.clinic_id, erased.client_id)
    await tx.execute(
        """
        SELECT FROM customers WHERE (clinic_id, client_id) = ($1, $2)
        ORDER BY account, stripe_customer_id FOR UPDATE
        """,
        *who,
    )
    await tx.execute(
        f"""
        SELECT FROM payment_methods WHERE (clinic_id, id) IN {_THEIRS}
        ORDER BY account, stripe_payment_method_id FOR NO KEY UPDATE
        """,
        *who,
    )


async def erase_client(tx: Connection, erased: Erased) -> None:
    """Blank the client's customers and methods, end the consents to charge these, and delete notices about cards."""
    who = (erased.clinic_id, erased.client_id)
    await tx.execute(
        """
        UPDATE customers SET stripe_customer_id = NULL, default_method_id = NULL,
            idempotency_key = 'customer-' || gen_random_uuid()
        WHERE (clinic_id, client_id) = ($1, $2) AND stripe_customer_id IS NOT NULL
        """,
        *who,
    )
    await tx.execute(
        f"""
        WITH blank AS (
            UPDATE payment_methods SET {_BLANK} WHERE (clinic_id, id) IN {_THEIRS} RETURNING clinic_id, id
        )
        UPDATE consents SET withdrawn_at = app_now() FROM blank
        WHERE (consents.clinic_id, consents.payment_method_id) = (blank.clinic_id, blank.id) AND withdrawn_at IS NULL
        """,
        *who,
    )
    await tx.execute("DELETE FROM expiry_notices WHERE (clinic_id, client_id) = ($1, $2)", *who)
