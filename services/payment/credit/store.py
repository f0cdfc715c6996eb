"""Credit balances: the money that a clinic owes a client. The ledger's postings change them."""

from collections.abc import Collection, Iterable
from uuid import UUID

import asyncpg

from contracts.money import Money
from contracts.vocabulary import STARTABLE_PAYMENTS
from services.chassis.db.database import Connection
from services.chassis.db.sql import literals
from services.payment.ledger.domain import CreditKey

_RESERVED = """
    SELECT p.id, p.status, p.currency, a.credit_amount
    FROM allocations AS a JOIN payments AS p ON (p.clinic_id, p.id) = (a.clinic_id, a.payment_id)
    WHERE p.client_id = $1 AND a.state = 'open' AND a.credit_amount > 0
"""
"""A client's reservations of credit, with the payments that hold them."""


async def lock_credit(tx: Connection, keys: Collection[CreditKey]) -> dict[CreditKey, int]:
    """Read credit balances, and keep others from changing them until the transaction ends.

    A balance without a row gets one.
    """
    columns = list(zip(*sorted(keys), strict=True))
    await tx.execute(
        """
        INSERT INTO credit_balances (clinic_id, client_id, currency, amount)
        SELECT clinic_id, client_id, currency, 0
        FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS named (clinic_id, client_id, currency)
        ON CONFLICT DO NOTHING
        """,
        *columns,
    )
    rows = await tx.fetch(
        """
        SELECT clinic_id, client_id, currency, amount FROM credit_balances
        WHERE (clinic_id, client_id, currency) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]))
        ORDER BY clinic_id, client_id, currency
        FOR UPDATE
        """,
        *columns,
    )
    return {(row["clinic_id"], row["client_id"], row["currency"]): row["amount"] for row in rows}


async def get_credit(tx: Connection, client_id: UUID) -> list[Money]:
    """The credit of the client, in each currency that is not zero."""
    rows = await tx.fetch(
        """
        SELECT currency, amount FROM credit_balances WHERE client_id = $1 AND amount > 0 ORDER BY currency
        """,
        client_id,
    )
    return _sums(rows)


async def get_reserved(tx: Connection, client_id: UUID) -> list[Money]:
    """The credit that the client's payments reserve, in each currency that is not zero."""
    rows = await tx.fetch(
        f"""
        SELECT currency, sum(credit_amount)::bigint AS amount FROM ({_RESERVED}) AS reserved
        GROUP BY currency ORDER BY currency
        """,
        client_id,
    )
    return _sums(rows)


async def get_usable(tx: Connection, client_id: UUID) -> list[Money]:
    """The credit that the client can use, in each currency that is not zero.

    It counts what payments reserve that the client can still leave: the next start that needs it cancels them.
    """
    rows = await tx.fetch(
        f"""
        SELECT currency, sum(amount)::bigint AS amount FROM (
            SELECT currency, amount FROM credit_balances WHERE client_id = $1
            UNION ALL
            SELECT currency, credit_amount FROM ({_RESERVED}) AS reserved
            WHERE status IN {literals(STARTABLE_PAYMENTS)}
        ) AS held
        GROUP BY currency HAVING sum(amount) > 0 ORDER BY currency
        """,
        client_id,
    )
    return _sums(rows)


def _sums(rows: Iterable[asyncpg.Record]) -> list[Money]:
    return [Money(minor=row["amount"], currency=row["currency"]) for row in rows]
