"""Works on tasks that are due: in a transaction, or with calls to others between two."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import stamina
import structlog

from services.chassis.db.database import Connection, Database, is_transient
from services.chassis.errors import DomainError
from services.chassis.incidents import incidents
from services.chassis.queue import queue
from services.chassis.queue.domain import LEASE, BackOff, Failed, Outcome, Task
from services.chassis.telemetry import attributes
from services.chassis.telemetry.traces import span_from

log = structlog.get_logger()

POLL_SECONDS = 1.0
STOP_SECONDS = 8.0
CALL_SECONDS = 30.0
"""The most that a call between two transactions may take, so that its outcome is recorded within the lease."""
_RECORD_SECONDS = 20.0
_LOOK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class InTransaction:
    """Does a task of `kind` in the transaction that records its outcome: both are committed, or none.

    A crash does the work again. `given_up` runs in the transaction that records the last failed try.
    """

    kind: str
    work: Callable[[Connection, Task], Awaitable[Outcome]]
    back_off: BackOff = field(default_factory=BackOff)
    given_up: Callable[[Connection, Task, str], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class BetweenTransactions:
    """Does a task of `kind` outside of any transaction, for at most `CALL_SECONDS`.

    A crash after the call makes the call again: it must have its effect once, by a key that is made from the task's.
    """

    kind: str
    call: Callable[[Task], Awaitable[Outcome]]
    back_off: BackOff = field(default_factory=BackOff)
    given_up: Callable[[Connection, Task, str], Awaitable[None]] | None = None


Handler = InTransaction | BetweenTransactions


class Worker:
    """Works on a service's tasks. Many may run, in as many processes: one at a time has a task."""

    def __init__(self, db: Database, handlers: Sequence[Handler]) -> None:
        self._db = db
        self._handlers = {handler.kind: handler for handler in handlers}
        self._taken = [each.kind for each in handlers if isinstance(each, InTransaction)]
        self._claimed = [each.kind for each in handlers if isinstance(each, BetweenTransactions)]
        self._watch = Watch(db, self._handlers)
        self._random = random.Random()
        self._wanted, self._stop = asyncio.Event(), asyncio.Event()

    def wake(self) -> None:
        """There may be something to do."""
        self._wanted.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work until the block ends; a task under way is finished first, when that is quick."""
        if not self._handlers:
            yield
            return
        working = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._stop.set()
            self._wanted.set()
            await asyncio.wait([working], timeout=STOP_SECONDS)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def work_due(self) -> int:
        """Work on tasks until none is due; their number. Raises when the database is unreachable."""
        count = 0
        while not self._stop.is_set() and (await self._take_one() or await self._claim_one()):
            count += 1
        return count

    async def _run(self) -> None:
        while not self._stop.is_set():
            self._wanted.clear()
            try:
                await self.work_due()
                await self._watch.look()
                incidents.worked("queue_failed")
            except Exception as error:
                incidents.failed("queue_failed", reason=type(error).__name__, exc_info=error)
            await pause(self._wanted, POLL_SECONDS)

    async def _take_one(self) -> bool:
        """Work on one task in a transaction; False when none is due."""
        if not self._taken:
            return False
        task = None
        try:
            async with self._db.worker_tx() as tx:
                task = await queue.take(tx, self._taken)
                if task is None:
                    return False
                handler = self._handlers[task.kind]
                assert isinstance(handler, InTransaction)
                with _span(task):
                    outcome = await handler.work(tx, task)
                await self._end(tx, task, outcome)
        except Exception as error:
            if task is None:
                raise
            # Recorded whatever it was: a task that meets the same error each time must not hold back the others.
            await self._record(task, self._after(task, error))
        return True

    async def _claim_one(self) -> bool:
        """Work on one task between two transactions; False when none is due."""
        if not self._claimed:
            return False
        async with self._db.worker_tx() as tx:
            tasks = await queue.claim(tx, self._claimed, 1, LEASE)
        for task in tasks:
            handler = self._handlers[task.kind]
            assert isinstance(handler, BetweenTransactions)
            try:
                with _span(task):
                    async with asyncio.timeout(CALL_SECONDS):
                        outcome = await handler.call(task)
            except Exception as error:
                outcome = self._after(task, error)
            await self._record(task, outcome)
        return bool(tasks)

    def _after(self, task: Task, error: Exception) -> Outcome:
        """The outcome of a try that raised."""
        reason = error.code if isinstance(error, DomainError) else type(error).__name__
        if not isinstance(error, DomainError):
            log.error("task_failed", job=task.kind, object_id=str(task.key), exc_info=error)
        return self._handlers[task.kind].back_off.after(task.attempts + 1, reason, self._random)

    async def _record(self, task: Task, outcome: Outcome) -> None:
        # Retried while the database is briefly unreachable. A commit whose answer was lost is safe to repeat: the
        # claim has ended.
        async for attempt in stamina.retry_context(
            on=is_transient, attempts=None, timeout=_RECORD_SECONDS, wait_max=2.0
        ):
            with attempt:
                async with self._db.worker_tx() as tx:
                    await self._end(tx, task, outcome)

    async def _end(self, tx: Connection, task: Task, outcome: Outcome) -> None:
        recorded = await queue.end(tx, task, outcome)
        given_up = self._handlers[task.kind].given_up
        if recorded and isinstance(outcome, Failed) and given_up is not None:
            await given_up(tx, task, outcome.reason)


def _span(task: Task) -> AbstractContextManager[object]:
    named = {"clinicpay.task.key": str(task.key), **attributes.of({"clinic_id": task.clinic_id})}
    return span_from(f"work on {task.kind}", task.traceparent, attributes=named)


class Watch:
    """Begins the incident `queue_behind` while a task of these kinds is overdue by more than a lease."""

    def __init__(self, db: Database, kinds: Collection[str], behind: timedelta = LEASE) -> None:
        self._db, self._kinds, self._behind = db, kinds, behind
        self._looks_at = 0.0

    async def look(self) -> None:
        """Look at the queue, at most every half minute."""
        now = asyncio.get_running_loop().time()
        if now < self._looks_at:
            return
        self._looks_at = now + _LOOK_SECONDS
        async with self._db.worker_tx() as tx:
            depths = {depth.kind: depth for depth in await queue.depths(tx)}
        for kind in self._kinds:
            depth = depths.get(kind)
            if depth is None or depth.oldest <= self._behind:
                incidents.worked("queue_behind", kind)
            else:
                overdue = round(depth.oldest.total_seconds())
                incidents.failed("queue_behind", kind, tasks=depth.count, overdue_s=overdue)


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
