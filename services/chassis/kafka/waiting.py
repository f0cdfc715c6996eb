"""How much waits in a service's database, and for how long: for gauges, `clinicpay waits` and the console."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.chassis.db.database import Connection

MOST_COUNTED = 100_000
"""Rows of the outbox that are counted: a reading has a bound, and beyond this the age says more."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many there are, and the age of the oldest in seconds; 0 without any."""

    count: int
    age: float


def together(found: Iterable[Waiting]) -> Waiting:
    """All of them as one."""
    every = list(found)
    return Waiting(sum(each.count for each in every), max((each.age for each in every), default=0.0))


async def outbox(connection: Connection) -> Waiting:
    """Events that the relay has not sent. A service's worker may see so much of its outbox, and no more."""
    row = await connection.fetchrow(
        """
        SELECT count(*) AS events, coalesce(extract(epoch FROM now() - min(created_at)), 0) AS age
        FROM (SELECT created_at FROM outbox ORDER BY seq LIMIT $1) AS oldest
        """,
        MOST_COUNTED,
    )
    assert row is not None
    return Waiting(row["events"], float(row["age"]))


async def outbox_by_topic(connection: Connection) -> dict[str, Waiting]:
    """The same for a role that reads all: events of each topic, of the oldest `MOST_COUNTED`."""
    rows = await connection.fetch(
        """
        SELECT aggregatetype, count(*) AS events, extract(epoch FROM now() - min(created_at)) AS age
        FROM (SELECT aggregatetype, created_at FROM outbox ORDER BY seq LIMIT $1) AS oldest GROUP BY aggregatetype
        """,
        MOST_COUNTED,
    )
    return {row["aggregatetype"]: Waiting(row["events"], float(row["age"])) for row in rows}


async def parked(connection: Connection) -> dict[tuple[str, str], Waiting]:
    """Parked events that wait for a person, by consumer group and reason."""
    rows = await connection.fetch(
        """
        SELECT consumer, reason, count(*) AS events, extract(epoch FROM now() - min(parked_at)) AS age
        FROM parked WHERE state = 'waiting' GROUP BY consumer, reason
        """
    )
    return {(row["consumer"], row["reason"]): Waiting(row["events"], float(row["age"])) for row in rows}


async def exceptions(connection: Connection) -> dict[str, Waiting]:
    """Exceptions that nobody has settled, by kind."""
    rows = await connection.fetch(
        """
        SELECT kind, count(*) AS exceptions, extract(epoch FROM app_now() - min(created_at)) AS age
        FROM exceptions WHERE settled_at IS NULL GROUP BY kind
        """
    )
    return {row["kind"]: Waiting(row["exceptions"], float(row["age"])) for row in rows}
