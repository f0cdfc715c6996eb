"""Parked events: what a consumer could not apply is kept whole, and nothing is skipped in silence.

A parked movement holds back later movements of its line, so that none overtakes it: those of its clinic with its key,
or of its key alone when it could not be read. A newer state event supersedes a parked one. A parked event is not
claimed in the inbox: its replay claims it.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from contracts import topics
from contracts.events import CloudEvent, Event, StateEvent
from services.chassis.db import Connection
from services.chassis.telemetry import span_context_of

_LONGEST_DETAIL = 500

Line = tuple[UUID, bytes]
"""(clinic, record's key): the movements that must not overtake each other."""


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record, untouched: any part of it may be nonsense."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

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


async def add(tx: Connection, consumer: str, parked: Iterable[Parked]) -> None:
    """Park records. One that is delivered again while parked stays one row."""
    rows = [_row(consumer, each) for each in parked]
    if rows:
        await tx.executemany(
            """
            INSERT INTO parked (consumer, topic, partition, "offset", key, value, headers, event_id, version,
                                reason, detail, trace_id, fingerprint, clinic_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            ON CONFLICT DO NOTHING
            """,
            rows,
        )


async def held_lines(tx: Connection, consumer: str, lines: Collection[Line]) -> set[Line]:
    """The lines that a parked movement holds back.

    For each it waits for a replay of that key that is under way, and keeps another from starting until the
    transaction ends.
    """
    waiting = await _waiting_lines(tx, consumer, lines)
    if not waiting:
        return set()
    await lock_keys(tx, consumer, {key for _, key in waiting})
    return await _waiting_lines(tx, consumer, waiting)


async def lock_keys(tx: Connection, consumer: str, keys: Collection[bytes]) -> None:
    await tx.execute(
        """
        SELECT pg_advisory_xact_lock(hashtextextended($1 || ':' || encode(key, 'hex'), 0))
        FROM (SELECT key FROM unnest($2::bytea[]) AS key ORDER BY key) AS keys
        """,
        consumer,
        list(keys),
    )


async def supersede(tx: Connection, consumer: str, applied: Iterable[StateEvent]) -> None:
    """Mark parked state events that an applied one of the same aggregate has overtaken."""
    newest: dict[bytes, int] = {}
    for event in applied:
        key = str(event.key).encode()
        newest[key] = max(newest.get(key, 0), event.version)
    if newest:
        await tx.execute(
            """
            UPDATE parked SET state = 'superseded', resolved_at = now()
            FROM unnest($2::bytea[], $3::int[]) AS applied (key, version)
            WHERE parked.consumer = $1 AND parked.state = 'waiting'
                AND parked.key = applied.key AND parked.version <= applied.version
            """,
            consumer,
            list(newest),
            list(newest.values()),
        )


async def resolve(tx: Connection, parked_id: int) -> None:
    await tx.execute("UPDATE parked SET state = 'replayed', resolved_at = now() WHERE id = $1", parked_id)


async def get(tx: Connection, parked_id: int) -> dict[str, Any] | None:
    """A parked row: id, consumer, topic, key, reason, state, and its `record`."""
    row = await tx.fetchrow(
        """
        SELECT id, consumer, topic, partition, "offset", key, value, headers, event_id, reason, detail, state,
            clinic_id
        FROM parked WHERE id = $1
        """,
        parked_id,
    )
    return None if row is None else {**row, "record": record_of(row)}


async def list_waiting(tx: Connection, limit: int = 100) -> list[dict[str, Any]]:
    """What waits for somebody, oldest first. Raw bytes are left out: they are read one at a time."""
    rows = await tx.fetch(
        """
        SELECT id, consumer, topic, partition, "offset", event_id, reason, detail, trace_id, parked_at
        FROM parked WHERE state = 'waiting' ORDER BY id LIMIT $1
        """,
        limit,
    )
    return [dict(row) for row in rows]


async def waiting_of_line(
    tx: Connection, consumer: str, clinic_id: UUID | None, key: bytes
) -> list[dict[str, Any]]:
    """The waiting rows of a line in the order they came, as `get` gives them. No clinic: of the whole key."""
    rows = await tx.fetch(
        """
        SELECT id, consumer, topic, partition, "offset", key, value, headers, event_id, reason, detail, state,
            clinic_id
        FROM parked
        WHERE consumer = $1 AND key = $2 AND state = 'waiting'
            AND ($3::uuid IS NULL OR clinic_id IS NULL OR clinic_id = $3)
        ORDER BY id
        """,
        consumer,
        key,
        clinic_id,
    )
    return [{**row, "record": record_of(row)} for row in rows]


def record_of(row: Any) -> Record:
    headers = tuple(
        (name, None if value is None else bytes.fromhex(value)) for name, value in json.loads(row["headers"])
    )
    return Record(row["topic"], row["partition"], row["offset"], row["key"], row["value"], headers)


async def _waiting_lines(tx: Connection, consumer: str, lines: Collection[Line]) -> set[Line]:
    rows = await tx.fetch(
        """
        SELECT DISTINCT line.clinic_id, line.key
        FROM unnest($2::uuid[], $3::bytea[]) AS line (clinic_id, key)
        JOIN parked ON parked.key = line.key AND (parked.clinic_id IS NULL OR parked.clinic_id = line.clinic_id)
        WHERE parked.consumer = $1 AND parked.state = 'waiting' AND parked.topic = ANY ($4::text[])
        """,
        consumer,
        [clinic_id for clinic_id, _ in lines],
        [key for _, key in lines],
        [topic.name for topic in topics.ALL if topic.kind is topics.Kind.MOVEMENT],
    )
    return {(row["clinic_id"], row["key"]) for row in rows}


def _row(consumer: str, parked: Parked) -> tuple[object, ...]:
    record, event = parked.record, parked.event
    span = span_context_of(event.traceparent if event else None)
    event_id: UUID | None = event.id if event else None
    return (
        consumer,
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value,
        json.dumps([(name, None if value is None else value.hex()) for name, value in record.headers]),
        event_id,
        event.version if isinstance(event, StateEvent) else None,
        parked.reason,
        parked.detail[:_LONGEST_DETAIL],
        f"{span.trace_id:032x}" if span else None,
        hashlib.sha256(record.value or b"").digest(),
        event.clinic_id if isinstance(event, Event) else None,
    )
