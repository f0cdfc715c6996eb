"""One request, all or nothing, over all services that it writes to.

A row holds the request's plan before the first call to a service, and is deleted by the transaction that ends it.
A refusal undoes the earlier calls. When a service does not answer, or the gateway is killed, the request's outcome is
unknown: a request with the same key continues it, and so does the sweeper. An operation whose outcome stays unknown
for too long is undone.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from uuid import UUID

import msgspec
import structlog
from litestar.di import NamedDependency

from services.chassis.db.database import Connection, Database
from services.chassis.errors import Unavailable
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.gateway.accounts.actions import SlugTaken
from services.gateway.api.idempotency import store as key_uses
from services.gateway.api.idempotency.actions import IdempotentRequest
from services.gateway.api.operations import store
from services.gateway.api.operations.plans import Operation, Plan
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import Upstreams

log = structlog.get_logger()

ALL = 100
"""More calls than any plan makes."""
AT_ONCE = 20
"""The most operations that a sweep takes over."""


class RequestInProgress(Unavailable):
    """An operation on the same subject is under way and has not ended in time."""

    code = "request_in_progress"


class _Occupied(Exception):
    """The subject has an operation already; raised to roll back."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `hold`: how long a process holds an operation, longer than a call with its retries takes.

    `wait`: how long a request waits for another operation on the same subject. `give_up`: the age from which an
    operation whose outcome is unclear is undone; no service works on a call for so long.
    """

    hold: float = 10.0
    wait: float = 15.0
    look: float = 0.2
    give_up: float = 40.0
    longest_pause: float = 10.0


class Operations:
    """Carries out plans, and takes over abandoned operations."""

    def __init__(self, db: Database, upstreams: Upstreams, pace: Pace | None = None) -> None:
        self._db, self._upstreams, self.pace = db, upstreams, pace or Pace()

    async def carry_out(
        self, caller: Caller, subject_id: UUID, plan: Plan, request: IdempotentRequest | None = None
    ) -> None:
        """Carry out the plan once; return at once if the key's request was carried out before.

        Raises `UpstreamError`: a refusal, which has changed nothing, or a 5xx, after which the request may yet be
        carried out. Raises `IdempotencyKeyReused`, `SlugTaken`, `RequestInProgress`.
        """
        operation = Operation(new_id(), caller, subject_id, plan, key=request.key if request else None)
        async for _ in self._patiently():
            try:
                async with self._tx(caller) as tx:
                    begun = await self._begin(tx, operation, request)
            except _Occupied:
                await self._help(caller, subject_id)
                continue
            if begun:
                await self._go(operation)
            return

    async def was_carried_out(self, caller: Caller, subject_id: UUID, request: IdempotentRequest) -> bool:
        """Whether this request was carried out before. If it is under way, it is ended first.

        Raises as `carry_out`.
        """
        async for _ in self._patiently():
            async with self._tx(caller) as tx:
                earlier = await request.look_up(tx)
            if earlier != "under_way":
                return earlier == "done"
            await self._help(caller, subject_id)
        raise AssertionError("patience ends by raising")

    async def sweep(self) -> None:
        """Take over abandoned operations, and finish or undo them. Calls without an answer are repeated later."""
        async with self._db.tx(None, operator=True) as tx:
            due = await store.claim_due_operations(tx, AT_ONCE, self.pace.hold)
        ended = await asyncio.gather(*map(self._take_over, due), return_exceptions=True)
        for error in ended:
            if error is not None:
                log.error("operation_not_ended", reason=type(error).__name__)

    async def _begin(self, tx: Connection, operation: Operation, request: IdempotentRequest | None) -> bool:
        """Add the operation, with the gateway's own checks; False if it was carried out before."""
        earlier = await request.claim(tx) if request is not None else "none"
        if earlier == "under_way":
            raise _Occupied
        if earlier == "done":
            return False
        if operation.plan.new_slug is not None:
            await _check_slug(tx, operation.caller.clinic, operation.plan.new_slug)
        if not await store.add_operation(tx, operation, self.pace.hold):
            raise _Occupied
        return True

    async def _help(self, caller: Caller, subject_id: UUID) -> None:
        """Continue another request's operation if no process holds it; otherwise wait a moment."""
        async with self._tx(caller) as tx:
            taken = await store.claim_operation(tx, caller.clinic, subject_id, self.pace.hold)
        if taken is None:
            await asyncio.sleep(self.pace.look)
            return
        try:
            await self._go(taken)
        except UpstreamError as error:
            if is_unclear(error):
                raise

    async def _take_over(self, operation: Operation) -> None:
        with suppress(UpstreamError, RequestInProgress):
            if operation.age <= self.pace.give_up or operation.undoing:
                await self._go(operation)
            elif await self._is_decided(operation):
                await self._finish(operation)
            else:
                await self._undo(operation)

    async def _is_decided(self, operation: Operation) -> bool:
        try:
            return await operation.plan.is_decided(self._upstreams, operation.caller, operation.subject_id)
        except UpstreamError:
            await self._put_off(operation)
            raise

    async def _go(self, operation: Operation) -> None:
        if operation.undoing:
            await self._undo(operation)
            return
        done = 0
        try:
            operation = await self._ready(operation)
            for step in operation.plan.steps(self._upstreams, operation.caller, operation.subject_id):
                await self._hold(operation, undoing=False)
                await step()
                done += 1
        except UpstreamError as error:
            # A process that took it over does not know which calls were made before.
            done = done if operation.tries == 1 else ALL
            await (self._put_off(operation) if is_unclear(error) else self._undo(operation, done))
            raise
        await self._finish(operation)

    async def _ready(self, operation: Operation) -> Operation:
        """The operation with the values that undoing needs, saved before the first write."""
        ready = await operation.plan.ready(self._upstreams, operation.caller, operation.subject_id)
        if ready is not operation.plan:
            async with self._tx(operation.caller) as tx:
                if not await store.save_plan(tx, operation, ready):
                    raise _not_ours()
        return msgspec.structs.replace(operation, plan=ready)

    async def _finish(self, operation: Operation) -> None:
        async with self._tx(operation.caller) as tx:
            if not await store.delete_operation(tx, operation):
                raise _not_ours()
            await operation.plan.finish(tx, operation.caller, operation.subject_id)

    async def _undo(self, operation: Operation, done: int = ALL) -> None:
        """Undo the operation, at most `done` calls. After an error a sweep tries again."""
        await self._hold(operation, undoing=True)
        try:
            await operation.plan.undo(self._upstreams, operation.caller, operation.subject_id, done)
        except UpstreamError as error:
            log.warning("operation_not_undone_yet", reason=error.code)
            await self._put_off(operation)
            return
        async with self._tx(operation.caller) as tx:
            if await store.delete_operation(tx, operation) and operation.key is not None:
                await key_uses.delete_key_use(tx, operation.caller.subject, operation.key)

    async def _hold(self, operation: Operation, *, undoing: bool) -> None:
        async with self._tx(operation.caller) as tx:
            if not await store.hold_operation(tx, operation, self.pace.hold, undoing=undoing):
                raise _not_ours()

    async def _put_off(self, operation: Operation) -> None:
        pause = min(self.pace.longest_pause, 2.0 ** min(operation.tries, 10))
        async with self._tx(operation.caller) as tx:
            await store.put_off_operation(tx, operation, pause)

    async def _patiently(self) -> AsyncIterator[None]:
        """Yield for as long as a request may wait. Raises `RequestInProgress` at the end."""
        until = time.monotonic() + self.pace.wait
        while time.monotonic() < until:
            yield
        raise _not_ours()

    def _tx(self, caller: Caller) -> AbstractAsyncContextManager[Connection]:
        return self._db.tx(caller.clinic, operator=caller.role == "operator")


InjectedOperations = NamedDependency[Operations]


async def _check_slug(tx: Connection, clinic_id: UUID, slug: str) -> None:
    if await store.slug_is_taken(tx, clinic_id, slug):
        raise SlugTaken("Another clinic has this slug, or had it: its links still lead there.")


def is_unclear(error: UpstreamError) -> bool:
    """Whether the call may have had its effect, or may succeed later: the service did not refuse the request itself."""
    return error.status >= 500 or error.status in (401, 408, 429)


def _not_ours() -> RequestInProgress:
    return RequestInProgress(
        "This request, or another on the same clinic or client, is under way. Send it again in a moment."
    )
