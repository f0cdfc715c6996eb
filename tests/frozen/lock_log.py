"""Which rows a transaction locks, in which order, read from the log of its statements."""

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import ModuleType
from typing import Any

import asyncpg
import pytest

from services.chassis.db.database import Connection, Database
from tests.running.databases import ServiceDb

CLAIMS = frozenset({"inbox", "idempotency_keys", "parked", "exceptions"})
"""Of the chassis: claimed before all else, by a key of the event or the request, or by who settles an exception."""
NEW_ROWS = frozenset({"outbox", "audit"})
"""Of the chassis: only added to, last."""
ENQUEUED = "tasks"
"""Of the chassis: one that is added waits for no other work, one that is hastened is locked before all else."""
_PARENTHESES = re.compile(r"\([^()]*\)")
_LOCK = re.compile(r"\bFROM (\w+).*\bFOR (?:NO KEY )?UPDATE\b", re.S)
_CHANGE = re.compile(r"(?<!FOR )(?<!KEY )(?<!DO )\b(INSERT INTO|UPDATE|DELETE FROM) (\w+)")


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement with its arguments."""

    text: str
    arguments: Sequence[Any]

    @property
    def is_many(self) -> bool:
        return any(isinstance(each, (list, tuple)) and len(each) > 1 for each in self.arguments)


Transaction = list[Sent]


@dataclass
class LockLog:
    """Opens databases whose transactions are kept, statement by statement."""

    transactions: list[Transaction] = field(default_factory=list)

    def database(self, dsn: str) -> Database:
        return _Logged(dsn, self)

    def readings(self, order: Sequence[str], guarded: Mapping[str, str]) -> "list[Reading]":
        return [read(each, order, guarded) for each in self.transactions]


@asynccontextmanager
async def logged(
    app: ModuleType, db: ServiceDb, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[ServiceDb, LockLog]]:
    """The database whose worker, and whose service as `app` makes it, are in the log."""
    log = LockLog()
    monkeypatch.setattr(app, "Database", log.database)
    worker = log.database(db.worker_dsn)
    yield replace(db, worker=worker), log
    await worker.close()


class _Logged(Database):
    def __init__(self, dsn: str, log: LockLog) -> None:
        super().__init__(dsn)
        self._log = log

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        statements: Transaction = []

        def note(query: asyncpg.connection.LoggedQuery) -> None:
            statements.append(Sent(query.query, query.args or ()))

        async with super()._connection() as connection:
            with connection.query_logger(note):
                yield connection
        self._log.transactions.append(statements)


def changes_of(text: str) -> list[tuple[str, str]]:
    """(verb, table) of every change in a statement, inside and out: the innermost first, as it is written."""
    return [(verb, table) for verb, table in _CHANGE.findall(text)]


def locked_by(text: str) -> str | None:
    """The table whose rows a SELECT … FOR UPDATE locks."""
    outer = text
    while (shorter := _PARENTHESES.sub(" ", outer)) != outer:
        outer = shorter
    found = _LOCK.search(outer)
    return found[1] if found else None


@dataclass
class Reading:
    """One transaction, read from its beginning. `breaches` says in words what is not as it must be."""

    order: Sequence[str]
    guarded: Mapping[str, str] = field(default_factory=dict)
    locks: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    _saved: str | None = None
    _made: set[str] = field(default_factory=set)

    def read(self, sent: Sent) -> None:
        table = locked_by(sent.text)
        if table and table not in CLAIMS:
            self._lock(table, sent)
            if "SKIP LOCKED" not in sent.text and "ORDER BY" not in sent.text and sent.is_many:
                self.breaches.append(f"{table} is locked in no order")
        for verb, table in changes_of(sent.text):
            self._change(verb, table, sent)

    def _change(self, verb: str, table: str, sent: Sent) -> None:
        if table in CLAIMS or table in NEW_ROWS or (verb, table) == ("INSERT INTO", ENQUEUED):
            return
        guard = self.guarded.get(table)
        if guard is not None:
            if guard not in self.locks and guard not in self._made:
                self.breaches.append(f"{table} is changed without the lock of {guard}")
            return
        added = verb == "INSERT INTO" and "ON CONFLICT" not in sent.text
        # A change of rows that this transaction has added itself waits for nobody.
        if not added and table not in self.locks and table not in self._made:
            self._lock(table, sent)
            if sent.is_many and "unnest" in sent.text and verb != "INSERT INTO":
                self.breaches.append(f"{table} is changed in no order")
        # To begin a balance at zero, so that there is one to lock, saves nothing; taking a number locks its counter.
        # Canceling a task waits for who works on it.
        if table not in ("credit_balances", "invoice_counters", "credit_note_counters", ENQUEUED):
            self._made.add(table)
            self._saved = table

    def _lock(self, table: str, sent: Sent) -> None:
        if self._saved is not None:
            self.breaches.append(f"{table} is locked after {self._saved} was saved")
        if table not in self.order:
            self.breaches.append(f"{table} has no place in the order")
            return
        self.locks.append(table)


def read(transaction: Collection[Sent], order: Sequence[str], guarded: Mapping[str, str]) -> Reading:
    reading = Reading(order, guarded)
    for sent in transaction:
        reading.read(sent)
    places = [order.index(table) for table in reading.locks]
    for (before, first), (after, second) in pairwise(zip(places, reading.locks, strict=True)):
        if before > after:
            reading.breaches.append(f"{second} is locked after {first}")
    return reading
