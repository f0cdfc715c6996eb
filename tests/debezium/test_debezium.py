"""Debezium in the relay's place: the same records on the same partitions, and the main job as before."""

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.partitioner import DefaultPartitioner

from contracts.events import topics
from deploy.local.system import WORKED
from deploy.ops import database
from deploy.ops.verify.access import Access
from deploy.ops.verify.run import verify
from services.chassis.outbox.sweep import Sweep
from tests.running.system import Running, until
from tests.system.test_main_job import (
    an_invoice,
    start,
    test_a_client_pays_an_invoice_and_a_receipt_is_in_the_mailbox,
    test_a_declined_card_leaves_the_invoice_unpaid_and_another_try_pays_it,
    test_a_webhook_sent_three_times_is_booked_once,
    test_an_open_page_turns_to_paid_by_itself,
    test_the_invoice_worker_is_killed_in_the_middle_and_the_invoice_is_paid_once,
    until_paid,
)

__all__ = [
    "test_a_client_pays_an_invoice_and_a_receipt_is_in_the_mailbox",
    "test_a_declined_card_leaves_the_invoice_unpaid_and_another_try_pays_it",
    "test_a_webhook_sent_three_times_is_booked_once",
    "test_an_open_page_turns_to_paid_by_itself",
    "test_the_invoice_worker_is_killed_in_the_middle_and_the_invoice_is_paid_once",
]
OURS = [topic.name for topic in topics.ALL if topic is not topics.STRIPE_EVENT]
"""The topics that outboxes feed: Stripe's events come from the webhook edge."""


async def test_no_relay_runs(system: Running) -> None:
    with pytest.raises(LookupError):
        system.pid("services.chassis.outbox.relay")
    assert system.pid("services.chassis.outbox.sweep")


async def test_outboxes_stand_until_connect_is_back_and_nothing_is_lost(system: Running, data: Path) -> None:
    """Connect is killed without a word: what was committed meanwhile is sent after, and only then taken out."""
    access = Access.of_data(data)
    connect = system.pid("notification.json")
    os.kill(connect, signal.SIGSTOP)
    invoice = await an_invoice(system)
    await _nothing_is_swept(system, access)
    assert await _waiting(access, invoice["id"])
    os.kill(connect, signal.SIGKILL)

    begun = await until(lambda: _started(system, invoice), 90)
    await system.confirm(begun)
    await until_paid(system, invoice)

    assert system.pid("notification.json") != connect
    report = await verify(access, topics=True)
    assert not report.breaches, str(report)


async def test_records_are_those_that_the_relay_would_send(system: Running, data: Path) -> None:
    """Topic, key, value, partition and order of every event since the beginning. Repeats come after their first."""
    access = Access.of_data(data)
    report = await verify(access)
    assert not report.breaches, str(report)
    written = await _written(access)

    async with _reading(access) as (records, partitions):
        sent: dict[tuple[str, bytes], list[bytes]] = defaultdict(list)
        for record in records:
            assert record.headers == ()
            assert record.partition == _partition(record.key, partitions[record.topic])
            line = sent[record.topic, record.key]
            if record.value not in line:
                line.append(record.value)

    assert sum(map(len, written.values())) > 50
    assert sent == written


def _partition(key: bytes, partitions: list[int]) -> int:
    chosen: int = DefaultPartitioner()(key, partitions, partitions)
    return chosen


async def _started(system: Running, invoice: dict[str, Any]) -> dict[str, Any] | None:
    """A payment, once the payment service has heard of the invoice."""
    try:
        return await start(system, invoice)
    except Exception as refusal:
        if "503" in str(refusal) or "not_ready" in str(refusal):
            return None
        raise


async def _nothing_is_swept(system: Running, access: Access) -> None:
    password = system.secrets["role_passwords"]["invoice_relay"]
    dsn = database.role_dsn(access.databases["invoice"], "invoice_relay", password, "clinicpay_invoice")
    relay = await asyncpg.connect(dsn)
    try:
        with pytest.raises(TimeoutError):  # it waits for a confirmation
            await asyncio.wait_for(Sweep("invoice", dsn).sweep(relay), 2)
    finally:
        relay.terminate()


async def _waiting(access: Access, invoice_id: str) -> bool:
    connection = await asyncpg.connect(access.databases["invoice"])
    try:
        found = await connection.fetchval("SELECT true FROM outbox WHERE aggregateid = $1", invoice_id)
    finally:
        await connection.close()
    return bool(found)


async def _written(access: Access) -> dict[tuple[str, bytes], list[bytes]]:
    """Every value that outboxes ever had, by (topic, key), in order."""
    lines: dict[tuple[str, bytes], list[bytes]] = defaultdict(list)
    for service in WORKED:
        connection = await asyncpg.connect(access.databases[service])
        try:
            for row in await connection.fetch("SELECT * FROM outbox_copy ORDER BY seq"):
                lines[row["aggregatetype"], row["aggregateid"].encode()].append(row["payload"])
        finally:
            await connection.close()
    return lines


@asynccontextmanager
async def _reading(access: Access) -> AsyncIterator[tuple[list[ConsumerRecord], dict[str, list[int]]]]:
    """All records of the outboxes' topics, in order within each partition; and which partitions there are."""
    consumer = AIOKafkaConsumer(
        *OURS, bootstrap_servers=access.kafka, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        await until(
            lambda: len(consumer.assignment()) == sum(t.partitions for t in topics.ALL if t.name in OURS)
        )
        ends = await consumer.end_offsets(list(consumer.assignment()))
        records: list[ConsumerRecord] = []
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                records += batch
        yield records, {name: sorted(consumer.partitions_for_topic(name)) for name in OURS}
    finally:
        await consumer.stop()
