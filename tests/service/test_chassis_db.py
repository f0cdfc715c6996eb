"""A process that cannot go on keeps no locks: the server ends its session."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from services.chassis.db import database as chassis_db
from services.chassis.db.database import SESSION, TRANSIENT, UNREACHABLE, Connection, Database, is_transient
from services.chassis.ids import new_id
from tests.running.databases import ServiceDb


async def test_a_transaction_that_stands_still_loses_its_locks_to_who_waits_for_them(
    db_invoice: ServiceDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chassis_db, "SESSION", {**SESSION, "idle_in_transaction_session_timeout": "300ms"})
    frozen, claim = Database(db_invoice.worker_dsn), new_id()
    insert = "INSERT INTO inbox (consumer, event_id) VALUES ('frozen', $1)"

    with pytest.raises(UNREACHABLE) as error:
        async with frozen.worker_tx() as tx:
            await tx.execute(insert, claim)
            async with asyncio.timeout(10), db_invoice.worker.worker_tx() as other:
                await other.execute(insert, claim)
            await tx.execute("SELECT 1")
    await frozen.close()
    assert is_transient(error.value)

    assert await db_invoice.admin.fetchval("SELECT count(*) FROM inbox WHERE event_id = $1", claim) == 1


async def test_every_session_is_ended_when_its_process_is_gone_without_a_word(db_invoice: ServiceDb) -> None:
    async with db_invoice.worker.worker_tx() as tx:
        found = {name: await tx.fetchval("SELECT current_setting($1)", name) for name in SESSION}

    assert found == dict(SESSION)


async def test_what_the_server_says_of_a_session_that_stood_still_is_transient() -> None:
    assert issubclass(asyncpg.IdleInTransactionSessionTimeoutError, TRANSIENT)


Call = Callable[[Connection], Awaitable[Any]]
WRONG_CALLS: dict[str, Call] = {
    "a wrong type": lambda tx: tx.fetch("SELECT $1::int", "one"),
    "words of a lost connection in a value": lambda tx: tx.fetch("SELECT $1::int", "connection is closed"),
    "an integer that no column holds": lambda tx: tx.fetch("SELECT $1::int", 2**40),
    "too many arguments": lambda tx: tx.fetch("SELECT $1::int", 1, 2),
    "too few arguments": lambda tx: tx.fetch("SELECT $1::int + $2::int", 1),
    "no list of arguments": lambda tx: tx.executemany("SELECT $1::int", [1]),  # type: ignore[list-item]
    "a list of lists that differ": lambda tx: tx.fetch("SELECT $1::int[]", [[1], [2, 3]]),
    "an encoding that there is not": lambda tx: tx.fetch("SELECT $1::text", "\ud800"),
}


@pytest.mark.parametrize("what", WRONG_CALLS)
async def test_a_wrong_call_of_ours_is_not_tried_for_ever(db_invoice: ServiceDb, what: str) -> None:
    with pytest.raises(Exception) as error:
        async with db_invoice.worker.worker_tx() as tx:
            await WRONG_CALLS[what](tx)

    assert not is_transient(error.value)


async def lost(db: Database) -> None:
    async with db.worker_tx() as tx:
        await tx.fetch("SELECT 1")
        await tx.close(timeout=1)
        await tx.fetch("SELECT 1")


async def terminated(db: Database) -> None:
    async with db.worker_tx() as tx:
        tx.terminate()
        await tx.fetch("SELECT 1")


async def ended_by_the_server(db: Database) -> None:
    async with db.worker_tx() as tx:
        await tx.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def released(db: Database) -> None:
    async with db.worker_tx() as tx:
        pass
    await tx.fetch("SELECT 1")


async def pool_closed(db: Database) -> None:
    async with db.worker_tx() as tx:
        await tx.fetch("SELECT 1")
    pool = await db.opened()
    await pool.close()
    async with db.worker_tx():
        pass


async def pool_closing(db: Database) -> None:
    async with db.worker_tx() as tx:
        pool = await db.opened()
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        try:
            async with db.worker_tx():
                pass
        finally:
            await tx.fetch("SELECT 1")
            closing.cancel()


async def another_operation(db: Database) -> None:
    async with db.worker_tx() as tx:
        await asyncio.gather(tx.fetch("SELECT pg_sleep(0.2)"), tx.fetch("SELECT 1"))


async def nobody_listens(_: Database) -> None:
    await Database("postgresql://nobody@127.0.0.1:1/none").ping()


TROUBLE = (
    lost,
    terminated,
    ended_by_the_server,
    released,
    pool_closed,
    pool_closing,
    another_operation,
    nobody_listens,
)


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_trouble_with_the_connection_is_transient(
    db_invoice: ServiceDb, trouble: Callable[[Database], Awaitable[None]]
) -> None:
    db = Database(db_invoice.worker_dsn)

    with pytest.raises(Exception) as error:
        await trouble(db)

    assert is_transient(error.value), repr(error.value)
    await db.close()
