"""`clinicpay waits`: what waits in each service's database, and in Kafka before each consumer group."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from deploy.ops.apart import apart
from deploy.ops.consumers import groups, topics_of_groups
from deploy.ops.database import UNREACHABLE, looked_at
from deploy.ops.verify.access import Access
from deploy.ops.verify.report import CannotCheck
from deploy.ops.workers import WORKED
from services.chassis.kafka import waiting
from services.chassis.kafka.lag import KafkaUnreachable, LagReader
from services.chassis.queue import queue

READ, UNKNOWN = 0, 2
_FOR = {
    "outbox": "the relay",
    "parked": "a person: clinicpay parked list",
    "exceptions": "a clinic's staff",
}
"""For whom it waits, by place; elsewhere for the worker of its service."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Work that waits. `seconds`: since when the oldest does; Kafka does not tell."""

    part: str
    """A service, or a consumer group where `place` is `kafka`."""
    place: str
    kind: str
    """A topic; of the queue and of exceptions their kind, of parked events the reason."""
    number: int
    seconds: float | None

    @property
    def whom(self) -> str:
        """The process, or the person, that it waits for."""
        service = groups()[self.part][0] if self.place == "kafka" else self.part
        return _FOR.get(self.place) or f"{service}'s worker"


@dataclass(frozen=True, slots=True)
class Unread:
    """A part that does not answer: work may wait there unseen."""

    part: str
    error: str


async def look(access: Access) -> AsyncIterator[Waits | Unread]:
    """All that waits now, database by database, then Kafka. A part that does not answer hides none of the others, nor
    does it hold them up.
    """
    for found in await asyncio.gather(*(_of_a_service(name, access.databases[name]) for name in WORKED)):
        for each in found:
            yield each
    if access.kafka is None:
        yield Unread("Kafka", "KAFKA_BOOTSTRAP_SERVERS is not given")
        return
    try:
        async with LagReader(access.kafka, access.kafka_security, topics_of_groups()) as reader:
            behind: dict[tuple[str, str], int] = {}
            for lag in await reader.lag():
                behind[lag.group, lag.topic] = behind.get((lag.group, lag.topic), 0) + lag.waiting
    except KafkaUnreachable as error:
        yield Unread("Kafka", str(error))
        return
    for (group, topic), number in sorted(behind.items()):
        yield Waits(group, "kafka", topic, number, None)


async def _of_a_service(service: str, dsn: str) -> list[Waits | Unread]:
    try:
        async with looked_at(dsn) as connection:
            return [each async for each in _in_a_database(service, connection)]
    except UNREACHABLE as error:
        return [Unread(f"the database of {service}", type(error).__name__)]


async def _in_a_database(service: str, connection: Any) -> AsyncIterator[Waits]:
    for topic, each in (await waiting.outbox_by_topic(connection)).items():
        yield Waits(service, "outbox", topic, each.count, each.age)
    for due in await queue.depths(connection):
        yield Waits(service, "queue", due.kind, due.count, due.oldest.total_seconds())
    for (_, reason), each in (await waiting.parked(connection)).items():
        yield Waits(service, "parked", reason, each.count, each.age)
    for kind, each in (await waiting.exceptions(connection)).items():
        yield Waits(service, "exceptions", kind, each.count, each.age)


def run(data: Path | None, *, json_wanted: bool) -> int:
    """Look, print, and answer the exit code: 2 where a part does not answer."""
    try:
        found = asyncio.run(_all(Access.of(data)))
    except CannotCheck as reason:
        sys.stderr.write(f"clinicpay: cannot look: {reason}\n")
        return UNKNOWN
    waits = [each for each in found if isinstance(each, Waits)]
    unread = [each for each in found if isinstance(each, Unread)]
    if json_wanted:
        _lines(waits)
    else:
        show(waits, whole=not unread)
    for each in unread:
        sys.stderr.write(f"clinicpay: not read: {each.part}: {each.error}\n")
    return UNKNOWN if unread else READ


async def _all(access: Access) -> list[Waits | Unread]:
    return [each async for each in look(access)]


def _lines(found: list[Waits]) -> None:
    for each in found:
        sys.stdout.write(json.dumps(asdict(each)) + "\n")


def show(found: list[Waits], *, whole: bool) -> None:
    console = Console()
    if not found:
        console.print("Nothing waits." if whole else "Nothing waits in what was read.")
        return
    # On a narrow screen a name goes on in the next line: none is cut.
    heads = ("part", "place", "kind", "number", "oldest", "waits for")
    table = Table(*(Column(head, overflow="fold") for head in heads), box=None)
    for each in found:
        oldest = "" if each.seconds is None else apart(each.seconds)
        table.add_row(each.part, each.place, each.kind, str(each.number), oldest, each.whom)
    console.print(table)
