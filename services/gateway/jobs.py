"""The gateway's background jobs: its settings' API keys, letters about logins, expired rows,
secrets sealed by an earlier key, abandoned operations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from services.chassis.db.database import UNREACHABLE, Database
from services.chassis.incidents import incidents
from services.chassis.retention import delete_old
from services.gateway.accounts.letters.actions import Letters
from services.gateway.accounts.resets import actions as resets
from services.gateway.accounts.sealing import Sealer
from services.gateway.accounts.second_factors import actions as second_factors
from services.gateway.api.keys import actions as api_keys
from services.gateway.api.operations.actions import Operations
from services.gateway.retention import OWN
from services.gateway.settings import Settings

SWEEP_SECONDS = 600.0
OPERATIONS_SECONDS = 2.0
LETTERS_SECONDS = 1.0


class Jobs:
    """Runs beside the app, and waits for an unreachable database."""

    def __init__(
        self, db: Database, settings: Settings, operations: Operations, letters: Letters, sealer: Sealer
    ) -> None:
        self._sealer = sealer
        self._db, self._operations, self._letters = db, operations, letters
        self._settings = settings
        self._prepared = asyncio.Event()

    async def check(self) -> None:
        """Return once the database answers and holds the operators' keys."""
        await self._db.ping()
        await self._prepared.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(job)
            for job in (self._prepare(), self._sweep(), self._sweep_operations(), self._sweep_letters())
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _prepare(self) -> None:
        while not self._prepared.is_set():
            with suppress(*UNREACHABLE):
                await api_keys.keep_settings_keys(self._db, self._settings.operator_keys, self._settings.demo)
                self._prepared.set()
                return
            await asyncio.sleep(0.5)

    async def _sweep(self) -> None:
        while True:
            with suppress(*UNREACHABLE):
                await second_factors.seal_again(self._db, self._sealer)
            await asyncio.sleep(SWEEP_SECONDS)
            with suppress(*UNREACHABLE):
                await sweep(self._db)

    async def _sweep_operations(self) -> None:
        while True:
            await asyncio.sleep(OPERATIONS_SECONDS)
            with suppress(*UNREACHABLE):
                await self._operations.sweep()

    async def _sweep_letters(self) -> None:
        while True:
            await asyncio.sleep(LETTERS_SECONDS)
            try:
                await resets.answer_requests(self._db)
                await self._letters.sweep()
            except Exception as error:
                incidents.failed("letters_failed", reason=type(error).__name__, exc_info=error)
            else:
                incidents.worked("letters_failed")


async def sweep(db: Database) -> None:
    """Delete old sessions, ended links, windows of rate limits and uses of idempotency keys, in small transactions."""
    await delete_old(partial(db.tx, None, operator=True), OWN)
