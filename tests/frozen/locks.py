"""Advisory locks, as PostgreSQL counts them. Two releases that run at once keep each other out by the same numbers."""

from typing import Any
from uuid import UUID

import asyncpg

from deploy.ops import database
from services.chassis.kafka import inbox
from services.chassis.outbox.relay import Shard
from services.invoice.clinics import store as store_clinics
from tests.frozen.code import parsed
from tests.frozen.picture import Dbs
from tests.running.databases import ServiceDb

CLINIC = UUID("0192f3c4-0000-7000-8000-000000000001")
_HELD = """
    SELECT CASE objsubid WHEN 1 THEN ((classid::bigint << 32) | objid::bigint)::text
        ELSE classid::text || ', ' || objid::text END AS key, mode
    FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1, 2
"""


async def draw(dbs: Dbs) -> Any:
    payment = dbs["payment"]
    async with payment.worker.worker_tx() as tx:
        await inbox.maintain(tx, 30)
        maintained = await _held(tx)
    async with dbs["invoice"].api.tx(CLINIC, operator=True) as tx:
        await store_clinics.lock_clinic(tx, CLINIC)
        clinic = await _held(tx)
    return {
        "maintain_inbox": maintained,
        "a clinic's settings": clinic,
        "relay, shard 1 of 2": await _relay(payment.relay_dsn),
        "roles and databases": database.BOOTSTRAP_LOCK,
        "lines of code that lock": _lines(),
        "functions that lock": {service: await _functions(db) for service, db in dbs.items()},
    }


async def _held(tx: Any) -> list[str]:
    return [f"{row['key']} {row['mode']}" for row in await tx.fetch(_HELD)]


async def _relay(dsn: str) -> list[str]:
    """The transaction around it keeps the lock by which one at a time decides."""
    nobody: Any = None
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            assert await Shard("payment", dsn, 1, 2, nobody).try_lock(connection)
            return await _held(connection)
    finally:
        await connection.close()


async def _functions(db: ServiceDb) -> list[str]:
    rows = await db.admin.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosrc LIKE '%advisory%'"
    )
    return sorted(row["proname"] for row in rows)


def _lines() -> dict[str, int]:
    """How many lines of each package take an advisory lock: a new one belongs into this picture."""
    counted: dict[str, int] = {}
    for file in parsed("services", "deploy", "contracts"):
        lines = file.path.read_text().splitlines()
        if locking := sum("pg_" in line and "advisory" in line for line in lines):
            counted[file.package] = counted.get(file.package, 0) + locking
    return counted
