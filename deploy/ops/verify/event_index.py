"""An index of all events that topics hold, in a file."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from contracts.events import topics
from contracts.events.envelope import CloudEvent, StateEvent
from contracts.events.notification import Notification
from contracts.events.payment import (
    PaymentMethodExpiring,
    PaymentRefunded,
    PaymentReversed,
    PaymentSettled,
    PaymentUpdated,
)

FAMILIES = {
    **{name: name.split(".", maxsplit=1)[0] for name in topics.BY_NAME},
    "payment.settled": "movement",
    "payment.refunded": "refund",
    "payment.disputed": "dispute",
    "payment.method_expiring": "method",
    "notification.sent": "delivery",
    "notification.failed": "delivery",
    "stripe.event": "stripe",
}
"""The kind of aggregate that each topic is about."""


def fact_of(event: CloudEvent) -> str:
    """The part that is the same whenever the event is published: its version, its money, or the method of payment."""
    if isinstance(event, StateEvent):
        return f"version {event.version}"
    if isinstance(event, PaymentSettled):
        amount = event.amount
        return f"{event.kind} {amount.minor} {amount.currency} on {event.invoice_id} by {event.payment_id}"
    if isinstance(event, PaymentRefunded):
        return f"{event.amount.minor} {event.amount.currency} of {event.payment_id}"
    if isinstance(event, PaymentReversed):
        return f"{event.amount.minor} {event.amount.currency} taken back"
    if isinstance(event, PaymentMethodExpiring):
        return f"expires on {event.expires_on}"
    if isinstance(event, PaymentUpdated):
        return f"{event.method.kind} {event.method.brand} {event.method.last4}"
    return event.topic.name


_COLUMNS = "topic text, id blob, family text, clinic blob, aggregate blob, version int, fact text"
_FAST = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"


class Pile:
    """Events in a file, as they come. One process fills it; `EventIndex.merge` sorts it in."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file)
        self._db.executescript(f"{_FAST} CREATE TABLE events ({_COLUMNS})")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.commit()
        self._db.close()

    def add(self, events: Iterable[CloudEvent]) -> None:
        self._db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", [_row(event) for event in events]
        )


class EventIndex:
    """Events by (topic, id); each counts once, however often it was sent."""

    def __init__(self, file: Path) -> None:
        """Open the index in a file, or make an empty one."""
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.executescript(
            f"""
            {_FAST} PRAGMA cache_size = -200000;
            CREATE TABLE IF NOT EXISTS events ({_COLUMNS}, PRIMARY KEY (topic, id)) WITHOUT ROWID
            """
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def merge(self, piles: Sequence[Path]) -> None:
        """Sort in what these hold, make the indexes that the checks need, and remove the files."""
        names = [f"pile{number}" for number in range(len(piles))]
        for name, file in zip(names, piles, strict=True):
            self._db.execute(f"ATTACH ? AS {name}", (str(file),))
        parts = " UNION ALL ".join(f"SELECT * FROM {name}.events" for name in names)
        self._db.execute(f"INSERT OR IGNORE INTO events SELECT * FROM ({parts}) ORDER BY topic, id")
        for name, file in zip(names, piles, strict=True):
            self._db.execute(f"DETACH {name}")
            file.unlink()
        self._db.executescript(
            """
            CREATE INDEX by_aggregate ON events (family, clinic, aggregate, version, id);
            CREATE INDEX by_id ON events (id, topic);
            """
        )

    def get(self, event: CloudEvent) -> str | None:
        """The fact that the event's topic has under its id."""
        found = self._db.execute(
            "SELECT fact FROM events WHERE topic = ? AND id = ?", (event.topic.name, event.id.bytes)
        ).fetchone()
        return found[0] if found else None

    def named(self, event_id: bytes) -> dict[str, Any]:
        topic, fact = self._db.execute("SELECT topic, fact FROM events WHERE id = ?", (event_id,)).fetchone()
        return {"topic": topic, "fact": fact}

    def ambiguous(self, limit: int) -> list[dict[str, Any]]:
        """Versions of an aggregate that were published under more than one id."""
        rows = self._db.execute(
            """
            SELECT family, hex(clinic), hex(aggregate), version, count(DISTINCT id) FROM events
            WHERE version > 0 GROUP BY family, clinic, aggregate, version HAVING count(DISTINCT id) > 1 LIMIT ?
            """,
            (limit,),
        )
        return [dict(zip(("family", "clinic_id", "id", "version", "ids"), row, strict=True)) for row in rows]

    def newest(self, family: str) -> "Rows":
        """(clinic, aggregate, newest version published), in order."""
        return Rows(
            self._db.execute(
                """
                SELECT clinic, aggregate, max(version) FROM events WHERE family = ?
                GROUP BY clinic, aggregate ORDER BY clinic, aggregate
                """,
                (family,),
            )
        )

    def ids(self, names: Sequence[str]) -> "Rows":
        """(id,) of every event of these topics, in order."""
        marks = ", ".join("?" * len(names))
        return Rows(
            self._db.execute(f"SELECT DISTINCT id FROM events WHERE topic IN ({marks}) ORDER BY id", names)
        )


class Rows:
    """A cursor of the index as a stream."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    async def fetch(self, count: int) -> list[Any]:
        return self._cursor.fetchmany(count)


def _row(event: CloudEvent) -> tuple[object, ...]:
    """An aggregate is named by its clinic and id; a movement is one of its own."""
    clinic: UUID | None = getattr(event, "clinic_id", None)
    name = event.id if isinstance(event, PaymentSettled) else event.key
    if isinstance(event, Notification):
        name = event.delivery_id
    return (
        event.topic.name,
        event.id.bytes,
        FAMILIES[event.topic.name],
        clinic.bytes if clinic else b"",
        name.bytes if isinstance(name, UUID) else str(name).encode(),
        event.version if isinstance(event, StateEvent) else 0,
        fact_of(event),
    )
