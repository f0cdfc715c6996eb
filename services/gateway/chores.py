"""What the gateway does besides answering: the operator's first API key, and sweeping out what has expired."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from services.chassis.db import TRANSIENT, Database
from services.gateway import actions, session_store, store
from services.gateway.settings import Settings

SWEEP_SECONDS = 600.0


class Chores:
    """Runs beside the app; a database that is away is waited for."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._key = settings.bootstrap_operator_key
        self._prepared = asyncio.Event()

    async def check(self) -> None:
        """Return when the database answers and the operator's first key stands in it."""
        await self._db.ping()
        await self._prepared.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._prepare()), asyncio.create_task(self._sweep())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _prepare(self) -> None:
        while not self._prepared.is_set():
            with suppress(*TRANSIENT):
                if self._key is not None:
                    await actions.bootstrap_operator_key(self._db, self._key.get_secret_value())
                self._prepared.set()
                return
            await asyncio.sleep(0.5)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with suppress(*TRANSIENT):
                await sweep(self._db)


async def sweep(db: Database) -> None:
    """Drop sessions and windows of limits that have run out, and what keys of long ago came with."""
    async with db.tx(None) as tx:
        await session_store.delete_expired(tx)
        await store.delete_old_key_uses(tx)
