"""The topics against the databases: each change was published, each event is true, and each had its effect.

All topics are read from their beginning into an index in a temporary file, so that millions of events take little
memory. Then each side is compared with the other as streams.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from contracts.vocabulary import PUBLISHED_DELIVERIES
from deploy.ops import reemit
from deploy.ops.consumers import groups
from deploy.ops.verify.access import Access
from deploy.ops.verify.databases import Databases
from deploy.ops.verify.diff import merged
from deploy.ops.verify.event_index import EventIndex
from deploy.ops.verify.missing_events import missing_by_source
from deploy.ops.verify.report import MOST_ROWS, Breach, CannotCheck, Result
from deploy.ops.verify.topic_reader import Unreadable, read_all
from services.chassis.db.sql import literals

SAYS = {
    "records_are_events": "Every record of a topic that a service reads is an event, or is parked",
    "state_is_on_its_topic": "Every aggregate's newest version, and every movement, is on its topic under its id",
    "one_event_per_version": "A version of an aggregate was said under one id",
    "events_have_their_row": "No event tells of what is not in its writer's database, or not yet",
    "events_had_their_effect": "Every event is claimed, or parked, by each service that listens",
}
PROCESSES = 2
"""Reading events and making them from rows is work for Python, a process to a core."""


def _with_lost(family: str, rows: str) -> str:
    """Payment's rows, and the acts that a restore lost, of which the topics still tell."""
    return f"""
        SELECT uuid_send(clinic_id), uuid_send(id), version FROM (
            {rows} UNION ALL SELECT clinic_id, id, version FROM lost_acts WHERE family = '{family}'
        ) AS known ORDER BY clinic_id, id
    """


_AGGREGATES = {
    "clinic": ("invoice", "SELECT uuid_send(id), uuid_send(id), version FROM clinics ORDER BY id"),
    "invoice": (
        "invoice",
        """
        SELECT uuid_send(clinic_id), uuid_send(id), version FROM (
            SELECT clinic_id, id, version FROM invoices UNION ALL SELECT clinic_id, id, version FROM lost_invoices
        ) AS issued ORDER BY clinic_id, id
        """,
    ),
    "payment": (
        "payment",
        _with_lost("payment", "SELECT clinic_id, id, version FROM payments"),
    ),
    "movement": (
        "payment",
        _with_lost("movement", "SELECT clinic_id, id, 0 AS version FROM movements"),
    ),
    "refund": (
        "payment",
        _with_lost("refund", "SELECT clinic_id, id, 0 AS version FROM refunds WHERE refunded_at IS NOT NULL"),
    ),
    "dispute": (
        "payment",
        "SELECT uuid_send(clinic_id), uuid_send(id), version FROM disputes ORDER BY clinic_id, id",
    ),
    "delivery": (
        "notification",
        f"""
        SELECT uuid_send(clinic_id), uuid_send(id), 0 FROM deliveries
        WHERE state IN {literals(PUBLISHED_DELIVERIES)} ORDER BY clinic_id, id
        """,
    ),
}
_CLAIMED = """
    SELECT uuid_send(event_id) FROM (
        SELECT event_id FROM inbox WHERE consumer = $1
        UNION SELECT event_id FROM parked WHERE consumer = $1 AND event_id IS NOT NULL
    ) AS known ORDER BY event_id
"""
_REVERSED = "SELECT uuid_send(clinic_id), uuid_send(movement_id) FROM corrections"
"""Movements that payment never wrote, which `clinicpay movements reverse` took out: their events stay on the topic."""
_PARKED = 'SELECT topic, partition, "offset" FROM parked'


async def compare(access: Access, databases: Databases) -> list[Result]:
    """All topics, as they are now. CannotCheck when Kafka does not answer."""
    began = time.monotonic()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="clinicpay-verify-") as place,
            ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool,
        ):
            found, unread, reversed_ones = await _compared(access, databases, Path(place), pool)
    except BrokenExecutor:
        raise CannotCheck("a process that read the topics was killed: is there memory enough?") from None
    seconds = time.monotonic() - began
    left_out = {
        "records_are_events": Counter(f"record of {each[0]} that is no event" for each in unread),
        "events_have_their_row": Counter(
            {"movement that was reversed": reversed_ones} if reversed_ones else {}
        ),
    }
    return [
        Result(
            name,
            "topics",
            says,
            tuple(b for b in found if b.check == name)[:MOST_ROWS],
            seconds,
            left_out.get(name, {}),
        )
        for name, says in SAYS.items()
    ]


async def _compared(
    access: Access, databases: Databases, place: Path, pool: Executor
) -> tuple[list[Breach], list[Unreadable], int]:
    """The breaches; the garbage in topics that no service reads, which nothing parks and which harms nobody; and how
    many events tell of movements that were reversed.
    """
    assert access.kafka is not None
    piles = [place / f"pile-{number}.sqlite3" for number in range(PROCESSES)]
    unreadable = await read_all(access.kafka, access.kafka_security, pool, piles)
    read = {name for _, names in groups().values() for name in names}
    unread = [each for each in unreadable if each[0] not in read]
    file = place / "events.sqlite3"
    with EventIndex(file) as index:
        index.merge(piles)
        taken_out = {tuple(row) for row in await databases["invoice"].fetch(_REVERSED)}
        rowless = [each async for each in _rowless(databases, index)]
        missing_events = asyncio.gather(*missing_by_source(access, await _snapshots(databases), file, pool))
        found = [
            *await _unreadable(databases, [each for each in unreadable if each[0] in read]),
            *(Breach("one_event_per_version", row) for row in index.ambiguous(MOST_ROWS)),
            *(Breach("events_have_their_row", row) for key, row in rowless if key not in taken_out),
            *[breach async for breach in _without_effect(databases, index)],
        ]
        found += [breach for breaches in await missing_events for breach in breaches]
        return found, unread, sum(key in taken_out for key, _ in rowless)


async def _snapshots(databases: Databases) -> dict[str, str]:
    """Snapshots by service, with which other connections see the same moment."""
    return {
        service: await databases[service].fetchval("SELECT pg_export_snapshot()")
        for service in reemit.SOURCES
    }


async def _unreadable(databases: Databases, unreadable: Sequence[Unreadable]) -> list[Breach]:
    parked: set[tuple[Any, ...]] = set()
    for service in ("invoice", "payment", "notification"):
        parked |= {tuple(row) for row in await databases[service].fetch(_PARKED)}
    return [
        Breach("records_are_events", dict(zip(("topic", "partition", "offset", "reason"), each, strict=True)))
        for each in unreadable
        if each[:3] not in parked
    ]


async def _rowless(
    databases: Databases, index: EventIndex
) -> AsyncIterator[tuple[tuple[bytes, bytes], dict[str, Any]]]:
    """(clinic, id) that an event names and no row has, and the words for it."""
    for family, (service, sql) in _AGGREGATES.items():
        rows = await databases[service].cursor(sql)
        async for row, published in merged(rows, index.newest(family), 2):
            if published is not None and (row is None or row[2] < published[2]):
                named = {
                    "family": family,
                    "clinic_id": published[0].hex(),
                    "id": published[1].hex(),
                    "version said": published[2],
                }
                yield (published[0], published[1]), named | {"version there": row[2] if row else "none"}


async def _without_effect(databases: Databases, index: EventIndex) -> AsyncIterator[Breach]:
    """Events that the inbox of a consumer group has not."""
    for group, (service, names) in groups().items():
        claimed = await databases[service].cursor(_CLAIMED, group)
        async for known, published in merged(claimed, index.ids(names), 1):
            if known is None and published is not None:
                row = {"group": group, "event_id": published[0].hex(), **index.named(published[0])}
                yield Breach("events_had_their_effect", row)
