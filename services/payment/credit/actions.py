"""The verb of credit balances. It takes the transaction first, and commits nothing."""

from collections.abc import Sequence

from services.chassis.db.database import Connection
from services.payment.credit import store
from services.payment.ledger.domain import Entry, credit_keys


async def lock_changed_credit(tx: Connection, entries: Sequence[Entry]) -> None:
    """Lock the credit balances that the entries change: nearly always none."""
    keys = credit_keys(entries)
    if keys:
        await store.lock_credit(tx, keys)
