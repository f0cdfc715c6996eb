"""A network that breaks at a chosen call, and snapshots of databases to compare: for the walk over public writes."""

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import asyncpg
import httpx2

from services.gateway.upstream.calls import Service

Mode = Literal[
    "refused", "fails before", "fails after", "cut before", "cut after", "killed before", "killed after"
]
MODES: tuple[Mode, ...] = (
    "refused",
    "fails before",
    "fails after",
    "cut before",
    "cut after",
    "killed before",
    "killed after",
)
_NOT_COMPARED = {
    "audit",
    "audit_heads",
    "schema_migrations",
    "attempts",
    "invoice_counters",
    "credit_note_counters",
    "starts",
}
"""History, migrations, counts, and limits that end: nothing that a client, a clinic or an event is made of."""
_UNLIKE = re.compile(
    r"^(\\x.*|\$argon2.*|(closing:|recorded-)?[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT\d\d:.*|(CN-)?\d{4}-\d{6})$"
)
"""Values that differ between two runs of the same: bytes, hashes, ids, times, numbers of documents."""
_VOLATILE = {"version", "tries", "number", "seq"}


class Killed(BaseException):
    """The gateway's process ends here: no code of its request runs on."""


@dataclass
class Break:
    """The call that goes wrong, as the first run made it, and how."""

    call: str
    mode: Mode
    seen: int = 0


@dataclass
class Network:
    """The gateway's way to the services. Notes each call; the broken one goes wrong every time it is made."""

    calls: list[str] = field(default_factory=list)
    broken: Break | None = None
    before: Callable[[str], Awaitable[None]] | None = None
    """Runs before a call is passed on: what somebody else does in between."""

    def through(self, service: Service, way: httpx2.AsyncBaseTransport) -> httpx2.AsyncBaseTransport:
        return _Way(self, service, way)

    def repair(self) -> None:
        self.broken, self.before = None, None


class _Way(httpx2.AsyncBaseTransport):
    def __init__(self, network: Network, service: Service, way: httpx2.AsyncBaseTransport) -> None:
        self._network, self._service, self._way = network, service, way

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        checks = "?check" if "check" in request.url.params else ""
        call = _like(f"{request.method} {self._service}{request.url.path}{checks}")
        self._network.calls.append(call)
        if self._network.before is not None:
            await self._network.before(call)
        broken = self._network.broken
        if broken is None or broken.call != call:
            return await self._way.handle_async_request(request)
        broken.seen += 1
        return await self._break(broken.mode, request)

    async def _break(self, mode: Mode, request: httpx2.Request) -> httpx2.Response:
        if mode == "refused":
            return _problem(409, "refused_by_test")
        how, when = mode.split()
        if when == "after":
            answer = await self._way.handle_async_request(request)
            await answer.aread()
        if how == "killed":
            raise Killed
        if how == "cut":
            raise httpx2.ReadError("cut", request=request)
        return _problem(500, "failed_by_test")


def _problem(status: int, code: str) -> httpx2.Response:
    body = {"code": code, "detail": "The test says so.", "status": status}
    return httpx2.Response(status, json=body, headers={"content-type": "application/problem+json"})


def _like(call: str) -> str:
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "…", call)


Held = Counter[tuple[str, str]]


class Open(Protocol):
    """A database that a superuser's pool reads."""

    @property
    def admin(self) -> "asyncpg.Pool[asyncpg.Record]": ...


async def held(dbs: Mapping[str, Open], label: str) -> Held:
    """Every row of every database, without what differs between two runs; `label` names the run's own things."""
    rows: Held = Counter()
    for name, db in dbs.items():
        for row in await db.admin.fetch(await _everything(db)):
            rows[f"{name}.{row[0]}", _row(row[0], json.loads(row[1]), label)] += 1
    return rows


async def _everything(db: Open) -> str:
    """A statement that reads each row of each table that is compared: (table, row as JSON)."""
    tables = await db.admin.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND NOT relispartition"
    )
    compared = {row[0] for row in tables} - _NOT_COMPARED
    return " UNION ALL ".join(f"SELECT '{table}', to_jsonb(t) FROM {table} AS t" for table in compared)


def _row(table: str, row: dict[str, Any], label: str) -> str:
    if table == "outbox":
        return str(row["aggregatetype"])
    kept = {name: _text(value) for name, value in row.items() if name not in _VOLATILE}
    return json.dumps(kept, sort_keys=True).replace(label, "*")


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _text(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_text(each) for each in value]
    return "…" if isinstance(value, str) and _UNLIKE.match(value) else value


def difference(before: Held, after: Held) -> tuple[Held, Held]:
    """(rows added, rows removed)."""
    return after - before, before - after
