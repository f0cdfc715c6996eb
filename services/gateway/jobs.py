"""The gateway's background jobs: its settings' API keys, letters about logins, expired rows,
secrets sealed by an earlier key, addresses in an earlier form, clients who were erased, abandoned operations."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from services.chassis.db.database import Database
from services.chassis.incidents import incidents
from services.chassis.jobs.runs import Runs
from services.chassis.retention import delete_old
from services.gateway.accounts import answers
from services.gateway.accounts.erasures import actions as erasures
from services.gateway.accounts.letters.actions import Letters
from services.gateway.accounts.profile import actions as profiles
from services.gateway.accounts.sealing import Sealer
from services.gateway.accounts.second_factors import actions as second_factors
from services.gateway.api.keys import actions as api_keys
from services.gateway.api.operations.actions import Operations
from services.gateway.retention import OWN
from services.gateway.settings import Settings
from services.gateway.upstream.services import Upstreams

SWEEP_SECONDS = 600.0
DAY_SECONDS = 86_400.0
ERASED_SECONDS = 3600.0
"""Each client with a login is asked for, a hundred at a time."""
OPERATIONS_SECONDS = 2.0
LETTERS_SECONDS = 1.0


class Jobs:
    """Runs beside the app, and waits for an unreachable database."""

    def __init__(
        self,
        db: Database,
        settings: Settings,
        operations: Operations,
        letters: Letters,
        sealer: Sealer,
        upstreams: Upstreams,
    ) -> None:
        self._sealer, self._upstreams = sealer, upstreams
        self._db, self._operations, self._letters = db, operations, letters
        self._runs = Runs(partial(db.tx, None, operator=True))
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
            for job in (
                self._prepare(),
                self._again("seal_again", SWEEP_SECONDS, self._seal_again, at_once=True),
                self._again(
                    "emails_in_one_form", DAY_SECONDS, partial(profiles.keep_one_form, self._db), at_once=True
                ),
                self._again(
                    "end_erased", ERASED_SECONDS, partial(erasures.end_erased, self._db, self._upstreams)
                ),
                self._again("delete_old_rows", SWEEP_SECONDS, partial(sweep, self._db)),
                self._again("sweep_operations", OPERATIONS_SECONDS, self._operations.sweep),
                self._again("hand_over_letters", LETTERS_SECONDS, self._hand_over_letters),
            )
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _prepare(self) -> None:
        while not self._prepared.is_set():
            try:
                await api_keys.keep_settings_keys(self._db, self._settings.operator_keys, self._settings.demo)
            except Exception as error:
                _failed("keep_operator_keys", error)
                await asyncio.sleep(0.5)
            else:
                self._prepared.set()

    async def _again(
        self, name: str, seconds: float, work: Callable[[], Awaitable[None]], *, at_once: bool = False
    ) -> None:
        """Do a job for ever, with pauses, whatever it raises."""
        await asyncio.sleep(0 if at_once else seconds)
        while True:
            failed, began = None, time.monotonic()
            try:
                await work()
            except Exception as error:
                failed = error
                _failed(name, error)
            else:
                incidents.worked("job_failed", name)
            await self._runs.keep(name, seconds, time.monotonic() - began, failed)
            await asyncio.sleep(seconds)

    async def _seal_again(self) -> None:
        await second_factors.seal_again(self._db, self._sealer)

    async def _hand_over_letters(self) -> None:
        await answers.answer_requests(self._db)
        await self._letters.sweep()


def _failed(name: str, error: Exception) -> None:
    incidents.failed("job_failed", name, job=name, reason=type(error).__name__, exc_info=error)


async def sweep(db: Database) -> None:
    """Delete old sessions, ended links, windows of rate limits and uses of idempotency keys, in small transactions."""
    await delete_old(partial(db.tx, None, operator=True), OWN)
