"""A process that cannot go on keeps no locks: the server ends its session."""

import asyncio

import asyncpg
import pytest

from services.chassis import db as chassis_db
from services.chassis.db import SESSION, TRANSIENT, Database
from services.chassis.ids import new_id
from tests.world import ServiceDb


async def test_a_transaction_that_stands_still_loses_its_locks_to_who_waits_for_them(
    db_invoice: ServiceDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chassis_db, "SESSION", {**SESSION, "idle_in_transaction_session_timeout": "300ms"})
    frozen, claim = Database(db_invoice.worker_dsn), new_id()
    insert = "INSERT INTO inbox (consumer, event_id) VALUES ('frozen', $1)"

    with pytest.raises(TRANSIENT):
        async with frozen.worker_tx() as tx:
            await tx.execute(insert, claim)
            async with asyncio.timeout(10), db_invoice.worker.worker_tx() as other:
                await other.execute(insert, claim)
            await tx.execute("SELECT 1")
    await frozen.close()

    assert await db_invoice.admin.fetchval("SELECT count(*) FROM inbox WHERE event_id = $1", claim) == 1


async def test_every_session_is_ended_when_its_process_is_gone_without_a_word(db_invoice: ServiceDb) -> None:
    async with db_invoice.worker.worker_tx() as tx:
        found = {name: await tx.fetchval("SELECT current_setting($1)", name) for name in SESSION}

    assert found == dict(SESSION)


async def test_what_the_server_says_of_a_session_that_stood_still_is_transient() -> None:
    assert issubclass(asyncpg.IdleInTransactionSessionTimeoutError, TRANSIENT)
