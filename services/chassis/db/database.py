"""Transactions on a service's own PostgreSQL database. Code inside one never commits; its edge does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from opentelemetry.trace import SpanKind

from services.chassis.db.connecting import Connector, Urls
from services.chassis.ids import Key as Key
from services.chassis.incidents import incidents
from services.chassis.telemetry import attributes
from services.chassis.telemetry.traces import span_below

if TYPE_CHECKING:
    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]
else:  # at run time the class takes no parameters, and routes name it in their signatures
    Connection = PoolConnectionProxy
Transaction = Callable[[], AbstractAsyncContextManager[Connection]]
"""Opens a transaction: `Database.worker_tx`, or `Database.tx` at a clinic."""

TRANSIENT: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    # asyncpg raises it when the server dies in the middle of an answer.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionRollbackError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.PostgresSystemError,
    asyncpg.SyntaxOrAccessError,
)
"""Errors of the database, its network or its set-up, never of the data: the same work may succeed later.

asyncpg has one more kind, an `InterfaceError` about the connection: `is_transient` knows it by its message.
"""
UNREACHABLE: tuple[type[Exception], ...] = (*TRANSIENT, asyncpg.InterfaceError)
"""For work that is repeated later in any case, whatever stopped it: a wrong argument is among these too."""
_OF_THE_CONNECTION = (
    "connection is closed",
    "connection has been released",
    "another operation is",
    "pool is clos",
    "pool is being initialized",
    "pool is not initialized",
    "uthentication",
)
"""asyncpg raises the same class for a lost connection and for a call with a wrong number of arguments."""


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later. Anything else is a fault of the data or of our code."""
    if isinstance(error, asyncpg.InterfaceError):
        return any(text in str(error) for text in _OF_THE_CONNECTION)
    return isinstance(error, TRANSIENT)


SESSION: Mapping[str, str] = {
    # A process that is frozen in the middle of a transaction would keep its locks for as long as it is.
    "idle_in_transaction_session_timeout": "30s",
    # One whose machine is gone says no goodbye: without these, its session and locks would stay for two hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # A plan made while a table was empty is kept until its statistics are taken again. With a backlog of minutes in the
    # table by then, each batch would read all of it; every statement here has an index for what it asks.
    "enable_seqscan": "off",
}
"""Settings of every session: how soon the server ends one whose process cannot go on, and how it plans."""


class Database:
    """A pool that is opened by its first use, so that a process starts while PostgreSQL is unreachable.

    `tx` needs the service's `api` role, `worker_tx` its `worker` role. Both raise what `is_transient` when the database
    cannot be reached.
    """

    def __init__(
        self, urls: Urls, *, size: int = 10, patience: float = 5, answers_within: float = 30
    ) -> None:
        """`patience`: seconds in which the server must take a new connection; `answers_within`: and end a statement."""
        self._connector = Connector(urls)
        self.size = size
        self._patience = patience
        self._answers_within = answers_within
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()
        self.held = 0
        """Connections that are checked out now."""

    @property
    def opened_connections(self) -> int:
        return 0 if self._pool is None else self._pool.get_size()

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    @asynccontextmanager
    async def tx(self, clinic_id: UUID | None, *, operator: bool = False) -> AsyncIterator[Connection]:
        """One transaction that sees one clinic's rows, set by its first statement. None: no clinic's rows."""
        if clinic_id is not None:
            attributes.note(clinic_id=clinic_id)
        async with self._transaction() as connection:
            await connection.execute(
                "SELECT set_config('app.clinic', $1, true), set_config('app.operator', $2, true)",
                str(clinic_id or ""),
                "on" if operator else "off",
            )
            yield connection

    @asynccontextmanager
    async def worker_tx(self) -> AsyncIterator[Connection]:
        """One transaction that sees every clinic's rows: a batch of events holds many clinics."""
        async with self._transaction() as connection:
            yield connection

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[Connection]:
        """For reads that need no transaction: each statement is one of its own, in one round trip, at no clinic."""
        async with self._connection() as connection:
            yield connection

    async def ping(self) -> None:
        """Raise unless the database answers within two seconds."""
        async with asyncio.timeout(2), self._transaction() as connection:
            await connection.execute("SELECT 1")

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with self._connection() as connection:
            with span_below("transaction", kind=SpanKind.CLIENT, attributes=_SPAN):
                transaction = connection.transaction()
                await transaction.start()
                try:
                    yield connection
                except Exception:
                    with suppress(*UNREACHABLE):
                        await transaction.rollback()
                    raise
                await transaction.commit()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        pool, connection = await self._acquired()
        self.held += 1
        try:
            yield connection
        except asyncio.CancelledError:
            # Cut off in the middle, its state is unknown: it must not go back to the pool.
            connection.terminate()
            raise
        finally:
            self.held -= 1
            await pool.release(connection)

    async def _acquired(self) -> "tuple[asyncpg.Pool[asyncpg.Record], Connection]":
        try:
            pool = await self.opened()
            connection = await pool.acquire(timeout=2 * self._patience)
        except Exception as error:
            incidents.failed("database_unreachable", error=type(error).__name__)
            raise
        incidents.worked("database_unreachable")
        incidents.worked("request_without_database")
        return pool, connection

    async def opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    connect=self._connector.connect,
                    min_size=0,
                    max_size=self.size,
                    timeout=self._patience,
                    command_timeout=self._answers_within,
                    server_settings=dict(SESSION),
                    reset=_nothing_left,
                )
        return self._pool


_SPAN = {"db.system.name": "postgresql"}


@asynccontextmanager
async def trial(tx: Connection, only: bool) -> AsyncIterator[None]:
    """With `only`, everything done inside is undone at its end: it was checked, and changes nothing."""
    if not only:
        yield
        return
    attempt = tx.transaction()
    await attempt.start()
    try:
        yield
    finally:
        await attempt.rollback()


async def _nothing_left(_: object) -> None:
    """All that a transaction sets or locks ends with it, so asyncpg's own round trip to undo more is saved."""
