"""Credit balances: the money that a clinic owes a client. The ledger's postings change them."""

from collections.abc import Collection
from uuid import UUID

from contracts.money import Money
from services.chassis.db.database import Connection
from services.payment.ledger.domain import CreditKey


async def lock_credit(tx: Connection, keys: Collection[CreditKey]) -> None:
    """Keep others from changing these credit balances until the transaction ends. A balance without a row gets one."""
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
    await tx.execute(
        """
        SELECT amount FROM credit_balances
        WHERE (clinic_id, client_id, currency) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]))
        ORDER BY clinic_id, client_id, currency
        FOR UPDATE
        """,
        *columns,
    )


async def get_credit(tx: Connection, client_id: UUID) -> list[Money]:
    """The credit of the client, in each currency that is not zero."""
    rows = await tx.fetch(
        """
        SELECT currency, amount FROM credit_balances WHERE client_id = $1 AND amount > 0 ORDER BY currency
        """,
        client_id,
    )
    return [Money(minor=row["amount"], currency=row["currency"]) for row in rows]
