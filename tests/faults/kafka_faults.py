"""Faults of Kafka: repeated records, lost offsets, changed groups, stopped brokers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DeleteGroupsRequest
from aiokafka.structs import OffsetAndMetadata

from contracts.events import topics
from deploy.ops.reemit import reemit
from deploy.ops.topics import TopicRefused, ensure
from deploy.ops.workers import WORKED, worker_dsns
from tests.faults import checks
from tests.faults.drive import Client
from tests.faults.lab import Lab
from tests.faults.lost_replies import at_rest, paid
from tests.faults.matrix import Play, scenario
from tests.faults.watch import GROUPS
from tests.running.system import until

AREA = "Kafka"
WORKERS = ("invoice.worker", "payment.worker", "notification.worker")
GONE_SECONDS = 28.0
"""Longer than the relay's request timeout of 20 s and than the webhook edge's of 5 s."""
MINUTE = 60.0
GROUP_NOT_FOUND = 69


async def send_again(lab: Lab, times: int) -> int:
    """Send every record of every topic again, `times` times. Returns how many records were sent."""
    bootstrap = lab.system.kafka.bootstrap_servers
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await consumer.start()
    await producer.start()
    try:
        partitions = [
            TopicPartition(topic.name, part) for topic in topics.ALL for part in range(topic.partitions)
        ]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        records = []
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            found = await consumer.getmany(timeout_ms=200)
            records += [record for batch in found.values() for record in batch]
        for record in records * times:
            await producer.send(record.topic, value=record.value, key=record.key, headers=record.headers)
        await producer.flush()
        return len(records) * times
    finally:
        await consumer.stop()
        await producer.stop()


@scenario(AREA, "every record of every topic twice more", quick=True)
async def duplicates(lab: Lab, client: Client) -> str:
    bill = await paid(lab, client)
    before = await _effects(lab)
    sent = await send_again(lab, 2)
    await at_rest(lab, bill)
    await _unchanged(lab, before)
    return f"{sent} records again, no effect"


async def _effects(lab: Lab) -> tuple[object, ...]:
    """The counts that a second effect would change."""
    return (
        await lab.value("invoice", "SELECT count(*) FROM movements"),
        await lab.value("invoice", "SELECT sum(version) FROM invoices"),
        await lab.value("payment", "SELECT count(*) FROM postings"),
        await lab.value("payment", "SELECT sum(version) FROM payments"),
        await lab.value("notification", "SELECT count(*) FROM deliveries"),
        len(list(lab.system.data.mail.glob("*.eml"))),
    )


async def _unchanged(lab: Lab, before: tuple[object, ...]) -> None:
    after = await _effects(lab)
    if after != before:
        raise checks.Breach(f"a second effect: {before} became {after}")


def _groups_changed(change: Callable[[Lab, str], Awaitable[None]]) -> Play:
    """With the workers down, change their groups in Kafka; then every record is read again."""

    async def play(lab: Lab, client: Client) -> str:
        bill = await paid(lab, client)
        before = await _effects(lab)
        for name in WORKERS:
            lab.keeper.gate(name).clear()
            lab.kill(name)
        for group in GROUPS:
            await _until_empty(lab, group, change)
        await lab.quiet()
        await until(lambda: _all_read(lab), 60)
        await at_rest(lab, bill)
        await _unchanged(lab, before)
        return "everything read again, no effect"

    return play


async def _until_empty(lab: Lab, group: str, change: Callable[[Lab, str], Awaitable[None]]) -> None:
    """Wait until the group is empty: a killed member stays in it until its session has ended."""
    async with asyncio.timeout(90):
        while True:
            try:
                return await change(lab, group)
            except (KafkaError, ConnectionError):
                await asyncio.sleep(0.5)


async def forget(lab: Lab, group: str) -> None:
    """Delete a group with its offsets. ConnectionError while it has members."""
    admin = AIOKafkaAdminClient(bootstrap_servers=lab.system.kafka.bootstrap_servers)
    await admin.start()
    try:
        answer: Any = await admin._send_request(DeleteGroupsRequest([group]))  # noqa: SLF001  aiokafka has no public call
    finally:
        await admin.close()
    ((_, error),) = answer.results
    if error not in (0, GROUP_NOT_FOUND):
        raise ConnectionError(f"{group}: {error}")


async def rewind(lab: Lab, group: str) -> None:
    """Set a group's offsets back to the start. KafkaError while it has members."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=lab.system.kafka.bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=lab.system.kafka.bootstrap_servers)
    await admin.start()
    await consumer.start()
    try:
        offsets = await admin.list_consumer_group_offsets(group)
        consumer.assign(list(offsets))
        await consumer.commit(dict.fromkeys(offsets, OffsetAndMetadata(0, "")))
    finally:
        await consumer.stop()
        await admin.close()


scenario(AREA, "offsets lost: the groups are deleted")(_groups_changed(forget))
scenario(AREA, "old offsets delivered again: the groups are set back to the start")(_groups_changed(rewind))


async def _all_read(lab: Lab) -> bool:
    """Whether every group has acknowledged records and has no lag."""
    admin = AIOKafkaAdminClient(bootstrap_servers=lab.system.kafka.bootstrap_servers)
    await admin.start()
    try:
        all_known = all([await admin.list_consumer_group_offsets(group) for group in GROUPS])
    finally:
        await admin.close()
    return all_known and not await lab.watch.lag()


@scenario(AREA, "topics deleted, and rebuilt by `clinicpay reemit` under the same event ids")
async def rebuilt(lab: Lab, client: Client) -> str:
    bill = await paid(lab, client)
    before = await _effects(lab)
    gone = [topic for topic in topics.ALL if topic.name != topics.STRIPE_EVENT.name]
    admin = AIOKafkaAdminClient(bootstrap_servers=lab.system.kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([topic.name for topic in gone])
    finally:
        await admin.close()
    await until(lambda: _made(lab), 60)
    published = 0
    for service in WORKED:
        auditor, worker = lab.access.databases[service], worker_dsns(lab.system.data.path)[service]
        published += await reemit(auditor, worker, service, datetime.min.replace(tzinfo=UTC))
    await at_rest(lab, bill)
    await _unchanged(lab, before)
    return f"{len(gone)} topics, {published} events said again, nobody mailed twice"


async def _made(lab: Lab) -> bool:
    """Create the topics again, once the broker has deleted the old ones."""
    try:
        return bool(await ensure(lab.system.kafka.bootstrap_servers))
    except (KafkaError, TopicRefused, KeyError, TimeoutError):
        return False


@scenario(AREA, "a second payment.worker joins and leaves in the middle of batches")
async def rebalance(lab: Lab, client: Client) -> None:
    extra = lab.system.another("payment.worker", "-2")
    bills = [await client.issue() for _ in range(6)]
    child = await extra.start()
    try:
        for bill in bills[:3]:
            await client.pay(bill)
        await until(extra.ready, 60)
        for bill in bills[3:5]:
            await client.pay(bill)
    finally:
        await child.stop(within=1)
    await client.pay(bills[5])
    await at_rest(lab, *bills)


@scenario(AREA, f"the broker gone for {GONE_SECONDS:.0f} s, longer than a producer's request timeout")
async def poisoned_producer(lab: Lab, client: Client) -> str:
    """The relay has sent before and has events to send: its producer fails."""
    first = await paid(lab, client)
    bill = await client.issue()
    start = await client.start(bill)
    relays = lab.keeper.statuses["relay"].restarts
    async with lab.down("kafka"):
        other = await client.issue()
        await client.confirm(start)
        await asyncio.sleep(GONE_SECONDS)
    await client.pay(other)
    await at_rest(lab, first, bill, other)
    return f"the relay ended itself {lab.keeper.statuses['relay'].restarts - relays} times"


@scenario(AREA, "the broker frozen for 28 s, and awake again with its connections open")
async def frozen_broker(lab: Lab, client: Client) -> str:
    bill = await client.issue()
    start = await client.start(bill)
    relays = lab.keeper.statuses["relay"].restarts
    with lab.frozen("kafka"):
        other = await client.issue()
        await client.confirm(start)
        await asyncio.sleep(GONE_SECONDS)
    await client.pay(other)
    await at_rest(lab, bill, other)
    return f"the relay ended itself {lab.keeper.statuses['relay'].restarts - relays} times"


@scenario(AREA, "the broker down for a minute: invoices are issued, payments started, and all drain after")
async def down(lab: Lab, client: Client) -> None:
    known = await client.issue()
    start = await client.start(known)
    await checks.drained(lab)
    async with lab.down("kafka"):
        issued = [await client.issue() for _ in range(3)]
        await client.confirm(start)
        await asyncio.sleep(MINUTE)
    for bill in issued:
        await client.pay(bill)
    await at_rest(lab, known, *issued)


@scenario(AREA, "the broker killed and back at once, three times")
async def restarts(lab: Lab, client: Client) -> None:
    bills = []
    for _ in range(3):
        bill = await client.issue()
        start = await client.start(bill)
        await lab.restart("kafka")
        await client.confirm(start)
        bills.append(bill)
    await at_rest(lab, *bills)
