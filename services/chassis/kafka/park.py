"""Parked events: what a consumer could not apply is kept whole, and nothing is skipped in silence.

A parked event holds back no other: movements add up in any order. A newer state event supersedes a parked one. A parked
event is not claimed in the inbox: its replay claims it. Whatever is in a topic can be parked (ADR 0016).
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from contracts.events import topics
from contracts.events.catalogue import EVENTS
from contracts.events.envelope import CloudEvent, Event, StateEvent
from services.chassis.db.database import Connection, Key
from services.chassis.telemetry.traces import span_context_of

FINAL = frozenset({"replayed", "discarded"})
"""States in which nobody can do anything with a parked event any more."""

_LONGEST_DETAIL = 500


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record, untouched: any part of it may be nonsense."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int | None = None
    """When it was sent, in milliseconds since 1970. None: it was parked since."""

    @property
    def is_movement(self) -> bool:
        topic = topics.BY_NAME.get(self.topic)
        return topic is not None and topic.kind is topics.Kind.MOVEMENT


@dataclass(frozen=True, slots=True)
class Parked:
    """A record to park, what it was decoded to if it could be, and why. `detail` holds no values of the event."""

    record: Record
    event: CloudEvent | None
    reason: str
    detail: str = ""

    @property
    def aggregate(self) -> Key | None:
        """(clinic, aggregate) that the record names. None: it never was an event of ours, or it is of no clinic."""
        if isinstance(self.event, Event):
            return self.event.clinic_id, self.event.key
        kind = EVENTS.get(self.record.topic)
        if kind is None or not issubclass(kind, Event) or self.record.value is None:
            return None
        return kind.named_by(self.record.key, self.record.value)


async def add(tx: Connection, consumer: str, parked: Iterable[Parked]) -> None:
    """Park records. One that is delivered again while parked stays one row."""
    rows = [_row(consumer, each) for each in parked]
    if rows:
        await tx.executemany(
            """
            INSERT INTO parked (consumer, topic, partition, "offset", key, value, headers, event_id, version,
                                reason, detail, trace_id, fingerprint, clinic_id, aggregate_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
            ON CONFLICT DO NOTHING
            """,
            rows,
        )


async def lock_older(tx: Connection, consumer: str, events: Iterable[StateEvent]) -> list[int]:
    """Ids of parked state events that these overtake, once they are applied. Others wait for them.

    Parked rows are locked before what they are about, by replays and batches alike, or two of them could wait for
    each other.
    """
    newest = _newest(events)
    if not newest:
        return []
    rows = await tx.fetch(
        """
        SELECT parked.id FROM parked
        JOIN unnest($2::uuid[], $3::uuid[], $4::int[]) AS newer (clinic_id, aggregate_id, version)
            ON parked.clinic_id = newer.clinic_id AND parked.aggregate_id = newer.aggregate_id
                AND parked.version <= newer.version
        WHERE parked.consumer = $1 AND parked.state = 'waiting'
        ORDER BY parked.id
        FOR UPDATE OF parked
        """,
        consumer,
        *_columns(newest),
    )
    return [row["id"] for row in rows]


async def supersede(tx: Connection, older: Collection[int], applied: Iterable[StateEvent]) -> None:
    """Mark those of the locked rows that an applied event of the same aggregate has overtaken."""
    newest = _newest(applied)
    if older and newest:
        await tx.execute(
            """
            UPDATE parked SET state = 'superseded', resolved_at = app_now()
            FROM unnest($2::uuid[], $3::uuid[], $4::int[]) AS applied (clinic_id, aggregate_id, version)
            WHERE parked.id = ANY($1::bigint[]) AND parked.state = 'waiting'
                AND parked.clinic_id = applied.clinic_id AND parked.aggregate_id = applied.aggregate_id
                AND parked.version <= applied.version
            """,
            list(older),
            *_columns(newest),
        )


def _newest(events: Iterable[StateEvent]) -> dict[Key, int]:
    newest: dict[Key, int] = {}
    for event in events:
        key = (event.clinic_id, event.key)
        newest[key] = max(newest.get(key, 0), event.version)
    return newest


def _columns(newest: Mapping[Key, int]) -> tuple[list[UUID], list[UUID], list[int]]:
    clinics = [clinic_id for clinic_id, _ in newest]
    return clinics, [aggregate_id for _, aggregate_id in newest], list(newest.values())


async def lock(tx: Connection, parked_id: int) -> dict[str, Any] | None:
    """`get`, and keep others from resolving it until the transaction ends."""
    return _whole(await tx.fetchrow(f"{_WHOLE} WHERE id = $1 FOR UPDATE", parked_id))


async def resolve(tx: Connection, parked_id: int) -> None:
    await tx.execute("UPDATE parked SET state = 'replayed', resolved_at = app_now() WHERE id = $1", parked_id)


async def discard(tx: Connection, parked_id: int, by: str, reason: str) -> None:
    """Lay a row that waits aside for good."""
    await tx.execute(
        """
        UPDATE parked SET state = 'discarded', resolved_at = app_now(), discarded_by = $2, discard_reason = $3
        WHERE id = $1
        """,
        parked_id,
        by,
        reason,
    )


async def get(tx: Connection, parked_id: int) -> dict[str, Any] | None:
    """A parked row: id, consumer, topic, key, reason, state, …, and its `record`."""
    return _whole(await tx.fetchrow(f"{_WHOLE} WHERE id = $1", parked_id))


async def list_waiting(tx: Connection, limit: int = 100) -> list[dict[str, Any]]:
    """The waiting events, oldest first. Raw bytes are left out: they are read one at a time."""
    return await _list(tx, "state = 'waiting' ORDER BY id", limit)


async def list_discarded(tx: Connection, limit: int = 100) -> list[dict[str, Any]]:
    """The discarded events, by whom and why, newest first."""
    return await _list(tx, "state = 'discarded' ORDER BY resolved_at DESC", limit)


async def list_held_back(tx: Connection) -> list[int]:
    """Events that an earlier version parked behind a parked movement, for no fault of their own; in their order."""
    rows = await tx.fetch(
        "SELECT id FROM parked WHERE state = 'waiting' AND reason = 'behind_parked' ORDER BY id"
    )
    return [row["id"] for row in rows]


async def with_waiting(tx: Connection, topic: str, aggregates: Collection[Key]) -> set[Key]:
    """The aggregates, of the given ones, that a waiting record of the topic names."""
    rows = await tx.fetch(
        """
        SELECT DISTINCT clinic_id, aggregate_id FROM parked
        WHERE (clinic_id, aggregate_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
            AND state = 'waiting' AND topic = $3
        """,
        [clinic_id for clinic_id, _ in aggregates],
        [aggregate_id for _, aggregate_id in aggregates],
        topic,
    )
    return {(row["clinic_id"], row["aggregate_id"]) for row in rows}


def aggregate_of(row: Mapping[str, Any]) -> Key | None:
    """(clinic, aggregate) that was kept of a parked row, by the rules of when it was parked."""
    return None if row["aggregate_id"] is None else (row["clinic_id"], row["aggregate_id"])


def record_of(row: Any) -> Record:
    headers = tuple(
        (name, None if value is None else bytes.fromhex(value)) for name, value in json.loads(row["headers"])
    )
    return Record(row["topic"], row["partition"], row["offset"], row["key"], row["value"], headers)


async def _list(tx: Connection, which: str, limit: int) -> list[dict[str, Any]]:
    rows = await tx.fetch(
        f"""
        SELECT id, consumer, topic, partition, "offset", event_id, reason, detail, trace_id, parked_at,
            resolved_at, discarded_by, discard_reason
        FROM parked WHERE {which} LIMIT $1
        """,
        limit,
    )
    return [dict(row) for row in rows]


_WHOLE = """
SELECT id, consumer, topic, partition, "offset", key, value, headers, event_id, reason, detail, state,
    clinic_id, aggregate_id, discarded_by, discard_reason
FROM parked
"""


def _whole(row: Any) -> dict[str, Any] | None:
    return None if row is None else {**row, "record": record_of(row)}


def _row(consumer: str, parked: Parked) -> tuple[object, ...]:
    record, event = parked.record, parked.event
    span = span_context_of(event.traceparent if event else None)
    clinic_id, aggregate_id = parked.aggregate or (None, None)
    return (
        consumer,
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value,
        json.dumps([(name, None if value is None else value.hex()) for name, value in record.headers]),
        event.id if event else None,
        event.version if isinstance(event, StateEvent) else None,
        parked.reason,
        _storable(parked.detail)[:_LONGEST_DETAIL],
        f"{span.trace_id:032x}" if span else None,
        _fingerprint(record),
        clinic_id,
        aggregate_id,
    )


def _fingerprint(record: Record) -> bytes:
    """Tells records of a rebuilt topic, which counts its offsets again, from the old ones."""
    parts = (b"-" if part is None else b"+" + part for part in (record.key, record.value))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


def _storable(text: str) -> str:
    """The text without what no database text can hold."""
    return text.encode(errors="replace").decode().replace("\x00", "?")
