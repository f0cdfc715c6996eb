"""Erase names and addresses when their time has passed, and again after a restore. Others learn of each client."""

from collections.abc import Sequence

from services.chassis.db.database import Connection, Database
from services.chassis.outbox import outbox
from services.invoice.erasures import store
from services.invoice.erasures.domain import Erasure, fact_about

AT_ONCE = 1000


async def erase_due(db: Database) -> None:
    """Erase all that is due: first on documents, then clients whom no document names any more."""
    for erase in (_erase_invoices, _erase_clients):
        erased = AT_ONCE
        while erased == AT_ONCE:
            async with db.worker_tx() as tx:
                erased = await erase(tx)


async def _erase_invoices(tx: Connection) -> int:
    return await store.erase_due_invoices(tx, AT_ONCE)


async def _erase_clients(tx: Connection) -> int:
    erased = await store.erase_due_clients(tx, AT_ONCE)
    await _publish(tx, erased)
    return len(erased)


async def replay_erasures(tx: Connection, log: Sequence[Erasure]) -> None:
    """Erase again what an older copy of the database brought back. `log` is newer: `store.list_erasures` read it."""
    await _publish(tx, await store.erase_again(tx, log))


async def _publish(tx: Connection, clients: Sequence[Erasure]) -> None:
    if clients:
        await outbox.add(tx, [(fact_about(each), None) for each in clients])
