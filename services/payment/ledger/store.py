"""The ledger and the movements. Their rows are added, never changed.

The database itself changes a credit balance with each posting to `client_credit`, and refuses one below zero.
"""

from collections.abc import Collection

import asyncpg

from contracts.events.payment import PaymentSettled
from services.chassis.db.database import Connection
from services.payment.ledger.domain import CreditOverdrawn, Entry


async def add_entries(tx: Connection, entries: Collection[Entry]) -> None:
    """Book entries with their postings. A unique key refuses an effect that is booked already.

    Lock the credit balances that they change before. Raises `CreditOverdrawn`.
    """
    try:
        await _insert_entries(tx, entries)
    except asyncpg.CheckViolationError as error:
        if error.constraint_name != "credit_is_not_overdrawn":
            raise
        raise CreditOverdrawn("The client has less credit than that.") from None


async def _insert_entries(tx: Connection, entries: Collection[Entry]) -> None:
    lines = [(entry, at, posting) for entry in entries for at, posting in enumerate(entry.postings)]
    await tx.execute(
        """
        WITH entered AS (
            INSERT INTO entries (clinic_id, id, payment_id, stripe_object_id, effect, booked_at, observed_by)
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[],
                $15::text[])
        )
        INSERT INTO postings (clinic_id, entry_id, position, account, client_id, payable_id, amount, currency)
        SELECT * FROM unnest($7::uuid[], $8::uuid[], $9::smallint[], $10::text[], $11::uuid[], $12::uuid[],
            $13::bigint[], $14::text[])
        """,
        [entry.clinic_id for entry in entries],
        [entry.id for entry in entries],
        [entry.payment_id for entry in entries],
        [entry.stripe_object_id for entry in entries],
        [entry.effect for entry in entries],
        [entry.booked_at for entry in entries],
        [entry.clinic_id for entry, _, _ in lines],
        [entry.id for entry, _, _ in lines],
        [at for _, at, _ in lines],
        [posting.account for _, _, posting in lines],
        [posting.client_id for _, _, posting in lines],
        [posting.receivable_id for _, _, posting in lines],
        [posting.amount for _, _, posting in lines],
        [posting.currency for _, _, posting in lines],
        [entry.observed_by for entry in entries],
    )


async def add_movements(tx: Connection, movements: Collection[PaymentSettled]) -> None:
    methods = [movement.method for movement in movements]
    await tx.execute(
        """
        INSERT INTO movements (clinic_id, id, payment_id, payable_id, kind, amount, currency,
            method_kind, method_brand, method_last4, booked_at, stripe_object_id)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::text[],
            $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::text[])
        """,
        [movement.clinic_id for movement in movements],
        [movement.movement_id for movement in movements],
        [movement.payment_id for movement in movements],
        [movement.invoice_id for movement in movements],
        [movement.kind for movement in movements],
        [movement.amount.minor for movement in movements],
        [movement.amount.currency for movement in movements],
        [method.kind if method else None for method in methods],
        [method.brand if method else None for method in methods],
        [method.last4 if method else None for method in methods],
        [movement.time for movement in movements],
        [movement.stripe_object_id for movement in movements],
    )
