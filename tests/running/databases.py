"""A fresh database of a service for a test: a copy of the migrated one, dropped at the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from deploy.ops import database
from services.chassis.db.database import Database
from services.chassis.ids import new_id


@dataclass(frozen=True, slots=True)
class ServiceDb:
    """A service's own fresh database, as each of its roles sees it."""

    name: str
    admin_dsn: str
    api_dsn: str
    worker_dsn: str
    relay_dsn: str
    api: Database
    worker: Database
    admin: "asyncpg.Pool[asyncpg.Record]"
    """A superuser's pool: sees everything, row-level security or not."""


_migrated: set[str] = set()


@asynccontextmanager
async def fresh_database(service: str, admin_dsn: str, roles: dict[str, str]) -> AsyncIterator[ServiceDb]:
    """A copy of the service's migrated database. The first call in a process migrates.

    admin_dsn   of a superuser
    roles       DSN by role
    """
    if service not in _migrated:
        await asyncio.to_thread(database.migrate, service, roles[f"{service}_owner"])
        _migrated.add(service)
    name = f"t_{service}_{new_id().hex}"
    await database.clone(admin_dsn, service, name)
    dsns = {role: database.with_database(dsn, name) for role, dsn in roles.items()}
    api_dsn = dsns[f"{service}_api"]
    admin_pool = await asyncpg.create_pool(database.with_database(admin_dsn, name), min_size=0, max_size=5)
    db = ServiceDb(
        name=service,
        admin_dsn=database.with_database(admin_dsn, name),
        api_dsn=api_dsn,
        worker_dsn=dsns.get(f"{service}_worker", api_dsn),
        relay_dsn=dsns.get(f"{service}_relay", api_dsn),
        # A machine that runs tests is busier than one that serves requests.
        api=Database(api_dsn, size=60, patience=database.PATIENCE),
        worker=Database(dsns.get(f"{service}_worker", api_dsn), patience=database.PATIENCE),
        admin=admin_pool,
    )
    try:
        yield db
    finally:
        await db.api.close()
        await db.worker.close()
        await admin_pool.close()
        await database.drop(admin_dsn, name)
