"""Erase names and addresses when their time has passed, and again after a restore."""

from collections.abc import Sequence

from services.chassis.db.database import Connection, Database
from services.invoice.erasures import store
from services.invoice.erasures.domain import Erasure

AT_ONCE = 1000


async def erase_due(db: Database) -> None:
    """Erase all that is due: first on documents, then clients whom no document names any more."""
    for erase in (store.erase_due_invoices, store.erase_due_clients):
        erased = AT_ONCE
        while erased == AT_ONCE:
            async with db.worker_tx() as tx:
                erased = await erase(tx, AT_ONCE)


async def replay_erasures(tx: Connection, log: Sequence[Erasure]) -> None:
    """Erase again what an older copy of the database brought back. `log` is newer: `store.list_erasures` read it."""
    await store.erase_again(tx, log)
