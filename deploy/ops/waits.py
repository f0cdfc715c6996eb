"""`clinicpay waits`: what waits in each service's database, and in Kafka before each consumer group."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.ops.consumers import topics_of_groups
from deploy.ops.database import UNREACHABLE, connected
from deploy.ops.verify.access import Access
from deploy.ops.verify.report import CannotCheck
from deploy.ops.workers import WORKED
from services.chassis.kafka.lag import KafkaUnreachable, LagReader

READ, UNKNOWN = 0, 2
_IN_A_DATABASE = """
    SELECT 'outbox' AS place, aggregatetype AS kind, count(*) AS number, now() - min(created_at) AS oldest
    FROM outbox GROUP BY 2
    UNION ALL
    SELECT 'queue', kind, count(*), app_now() - min(due_at) FROM tasks
    WHERE state = 'due' AND due_at <= app_now() GROUP BY 2
    UNION ALL
    SELECT 'parked', reason, count(*), now() - min(parked_at) FROM parked WHERE state = 'waiting' GROUP BY 2
    UNION ALL
    SELECT 'exceptions', kind, count(*), app_now() - min(created_at) FROM exceptions
    WHERE settled_at IS NULL GROUP BY 2
    ORDER BY 1, 2
"""
_FOR = {
    "outbox": "the relay",
    "queue": "the worker",
    "parked": "a person: clinicpay parked list",
    "exceptions": "a clinic's staff",
    "kafka": "the worker",
}


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


@dataclass(frozen=True, slots=True)
class Unread:
    """A part that does not answer: work may wait there unseen."""

    part: str
    error: str


async def look(access: Access) -> AsyncIterator[Waits | Unread]:
    """All that waits now, database by database, then Kafka. A part that does not answer hides none of the others."""
    for service in WORKED:
        try:
            async with connected(access.databases[service]) as connection:
                for row in await connection.fetch(_IN_A_DATABASE):
                    seconds = row["oldest"].total_seconds()
                    yield Waits(service, row["place"], row["kind"], row["number"], seconds)
        except UNREACHABLE as error:
            yield Unread(f"the database of {service}", type(error).__name__)
    if access.kafka is None:
        yield Unread("Kafka", "KAFKA_BOOTSTRAP_SERVERS is not given")
        return
    try:
        async with LagReader(access.kafka, access.kafka_security, topics_of_groups()) as reader:
            behind: dict[tuple[str, str], int] = {}
            for each in await reader.lag():
                behind[each.group, each.topic] = behind.get((each.group, each.topic), 0) + each.waiting
    except KafkaUnreachable as error:
        yield Unread("Kafka", str(error))
        return
    for (group, topic), number in sorted(behind.items()):
        yield Waits(group, "kafka", topic, number, None)


def run(data: Path | None, *, json_wanted: bool) -> int:
    """Look, print, and answer the exit code: 2 where a part does not answer."""
    try:
        found = asyncio.run(_all(Access.of(data)))
    except CannotCheck as reason:
        sys.stderr.write(f"clinicpay: cannot look: {reason}\n")
        return UNKNOWN
    waits = [each for each in found if isinstance(each, Waits)]
    unread = [each for each in found if isinstance(each, Unread)]
    (_lines if json_wanted else _show)(waits)
    for each in unread:
        sys.stderr.write(f"clinicpay: not read: {each.part}: {each.error}\n")
    return UNKNOWN if unread else READ


async def _all(access: Access) -> list[Waits | Unread]:
    return [each async for each in look(access)]


def _lines(found: list[Waits]) -> None:
    for each in found:
        sys.stdout.write(json.dumps(asdict(each)) + "\n")


def _show(found: list[Waits]) -> None:
    console = Console()
    if not found:
        console.print("Nothing waits in what was read.")
        return
    table = Table("part", "place", "kind", "number", "oldest", "waits for", box=None)
    for each in found:
        oldest = "" if each.seconds is None else f"{each.seconds:.0f} s"
        table.add_row(each.part, each.place, each.kind, str(each.number), oldest, _FOR[each.place])
    console.print(table)
