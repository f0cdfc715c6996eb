"""Runs a service's own main program with numbered points at its edges, where it can be ordered to die.

`python -m tests.faults.crashing <unit> <module> [role]`. The points are before and after each effect outside the
process: statements and commits, sends, acknowledgements, calls to Stripe, e-mails, calls between services. They wrap
library functions, so the services' code does not know them. The file named by FAULT_ORDERS is the order:
`{"mode": "count"}` writes down each point, `{"mode": "kill", "point": …, "nth": n}` dies at the nth passing of one,
by SIGKILL, `"freeze"` stops there. While there is a file `<unit>.clock`, the process's `time.time` is ahead by the
seconds in it, as on a machine whose clock is wrong.
"""

import json
import os
import re
import runpy
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

MAILED, RECORDED = "after mail to the server", "after commit of INSERT outbox"
"""In the notification worker: the mail server has accepted an e-mail; its record is committed."""
_TABLE = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM|FROM)\s+([a-z_]+)", re.I)
_QUIET = re.compile(r"^\s*(BEGIN|SELECT 1$|SELECT pg_advisory_unlock_all|CLOSE ALL|UNLISTEN)", re.I)


class Points:
    """The order file, which is read at every point."""

    def __init__(self, place: Path, process: str) -> None:
        self._order_file = place / f"{process}.order"
        self._points_file = place / f"{process}.points"
        self._died_file = place / f"{process}.died"
        self._seen = 0
        self._order: dict[str, Any] = {}
        self._passed: Counter[str] = Counter()
        self._mailed = False

    def reach(self, point: str) -> None:
        """Pass the point, or die at it."""
        self._read()
        self._mailed = point == MAILED or (self._mailed and point != RECORDED)
        if self._order.get("mode") == "count":
            with self._points_file.open("a") as file:
                file.write(point + "\n")
        elif self._order.get("point") == point:
            self._passed[point] += 1
            if self._passed[point] == self._order["nth"]:
                self._order_file.unlink(missing_ok=True)
                self._died_file.write_text(MAILED if self._mailed else point)
                if self._order["mode"] == "freeze":
                    os.kill(os.getpid(), signal.SIGSTOP)
                else:
                    os.kill(os.getpid(), signal.SIGKILL)

    def _read(self) -> None:
        try:
            now = self._order_file.stat().st_mtime_ns
        except OSError:
            self._order = {}
            return
        if now != self._seen:
            self._seen, self._passed = now, Counter()
            self._order = json.loads(self._order_file.read_text())


def name_of(sql: str) -> str:
    """A statement's short name: its verb and first table."""
    words = sql.split()
    table = _TABLE.search(sql)
    verb = words[0].rstrip(";").upper() if words else "?"
    if "set_config" in sql:
        return "set the clinic"
    if "advisory" in sql:
        return "take an advisory lock"
    locks = " for update" if "FOR UPDATE" in sql else ""
    return f"{verb} {table.group(1)}{locks}" if table else verb


Wrapped = Callable[..., Awaitable[Any]]


def around(
    points: Points, inner: Wrapped, name: Callable[..., str | None], *, after: bool, before: bool = True
) -> Wrapped:
    async def wrapper(*arguments: Any, **named: Any) -> Any:
        what = name(*arguments, **named)
        if what and before:
            points.reach(f"before {what}")
        answer = await inner(*arguments, **named)
        if what and after:
            points.reach(f"after {what}")
        return answer

    return wrapper


def _replace(points: Points, owner: type, method: str, name: Callable[..., str | None]) -> None:
    setattr(owner, method, around(points, getattr(owner, method), name, after=True))


def lay_over(points: Points) -> None:
    """Wrap every edge of this process in points."""
    _over_postgres(points)
    _over_kafka(points)
    _over_stripe_and_smtp(points)
    _over_http(points)


def _over_postgres(points: Points) -> None:
    from asyncpg import Connection

    def statement(connection: Any, query: str, *_: Any, **__: Any) -> str | None:
        if query.startswith("BEGIN"):
            connection.last_statement = None  # a connection's transactions have each their own
        if _QUIET.match(query) or query.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            return None
        if query == "COMMIT;":
            return _commit_of(connection)
        named = name_of(query)
        connection.last_statement = named
        return named

    def end(connection: Any, query: str, *_: Any, **__: Any) -> str | None:
        return _commit_of(connection) if query == "COMMIT;" else None

    class Remembering(Connection):
        __slots__ = ("last_statement",)

    import asyncpg

    for method in ("execute", "fetch", "fetchrow", "fetchval", "executemany"):
        inner = getattr(Connection, method)
        setattr(
            Remembering,
            method,
            around(points, around(points, inner, end, after=True, before=False), statement, after=False),
        )
    connect, create_pool = asyncpg.connect, asyncpg.create_pool
    asyncpg.connect = lambda *a, **k: connect(*a, **{"connection_class": Remembering, **k})
    asyncpg.create_pool = lambda *a, **k: create_pool(*a, **{"connection_class": Remembering, **k})


def _commit_of(connection: Any) -> str | None:
    """A commit's name, by its last statement; None for a transaction that only pinged the server."""
    last = getattr(connection, "last_statement", None)
    return f"commit of {last}" if last else None


def _over_kafka(points: Points) -> None:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    def send(_: Any, topic: str, *__: Any, **___: Any) -> str:
        return f"send to {topic}"

    async def sent(self: Any, topic: str, *arguments: Any, **named: Any) -> Any:
        future = await inner_send(self, topic, *arguments, **named)
        future.add_done_callback(lambda _: points.reach(f"after send to {topic}"))
        return future

    inner_send = AIOKafkaProducer.send
    AIOKafkaProducer.send = around(points, sent, send, after=False)
    AIOKafkaConsumer.commit = around(
        points, AIOKafkaConsumer.commit, lambda *_, **__: "acknowledgement", after=True
    )


def _over_stripe_and_smtp(points: Points) -> None:
    import stripe

    def call(_: Any, method: str, url: str, *__: Any, **___: Any) -> str:
        path = re.sub(r"(pi|cus|seti|pm|re|du)_[A-Za-z0-9]+", r"\1", url.split("/v1/")[-1].split("?")[0])
        return f"Stripe {method.upper()} {path}"

    _replace(points, stripe.HTTPXClient, "request_async", call)
    import aiosmtplib

    _replace(points, aiosmtplib.SMTP, "sendmail", lambda *_, **__: "mail to the server")


def _over_http(points: Points) -> None:
    from services.gateway.upstream.transport import HttpTransport

    def call(_: Any, method: str, path: str, params: Mapping[str, str], *__: Any, **___: Any) -> str:
        path = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "…", path)
        return f"call {method} {path}{'?check' if 'check' in params else ''}"

    _replace(points, HttpTransport, "ask", call)


def _over_the_clock(file: Path) -> None:
    real = time.time

    def ahead() -> float:
        try:
            return real() + float(file.read_text())
        except (OSError, ValueError):  # there is none, or it is being written
            return real()

    time.time = ahead


def main() -> None:
    process, module, *rest = sys.argv[1:]
    place = Path(os.environ["FAULT_ORDERS"])
    _over_the_clock(place / f"{process}.clock")
    lay_over(Points(place, process))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
