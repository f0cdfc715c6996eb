"""One worker alone: invoices booked from settlements that wait in the topic, and a topic read again from its start."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.events.payment import PaymentSucceeded
from services.chassis.ids import new_id
from tests.bench.figures import Spec, declare, measures
from tests.bench.installation import Bench
from tests.bench.seed import Live, add_live
from tests.bench.settle import (
    CONNECTIONS,
    FEW_PAID,
    MOST_SECONDS,
    PAID,
    NotSettled,
    prepare,
    sample,
    until_count,
)

AT_ONCE = 2_000

declare(
    Spec(
        "book_per_s",
        "invoices/s",
        "payment.settled waiting in the topic to booked invoices, one worker, the relay held",
        target=5_000,
        limit="one_row_commits_per_s",
    ),
    Spec(
        "replay_per_s",
        "events/s",
        "payment.succeeded from the earliest offset through notification's worker: claimed, found done already",
        target=10_000,
        limit="kafka_fetch_per_s",
    ),
)


def rate(commits: Sequence[tuple[float, int]]) -> float:
    """Rows a second from commits of (seconds, rows), in order: the first one's rows were done before its time.

    One commit alone allows no estimate: ValueError.
    """
    if len(commits) < 2:
        raise ValueError("everything was done in one transaction: too little to measure")
    return sum(rows for _, rows in commits[1:]) / (commits[-1][0] - commits[0][0])


@measures("book_per_s")
async def book(bench: Bench) -> None:
    """The worker is down until payment has settled all, and the relay stands still while it books."""
    count = 5_000 if bench.quick else 50_000
    numbers = await add_live(bench, count)
    file = await prepare(bench, numbers)
    await bench.put_down("invoice.worker")
    await bench.send_webhooks(file, connections=CONNECTIONS)
    few = [Live(n) for n in sample(numbers)]
    keys = [live.clinic_id for live in few], [live.invoice_id for live in few]
    async with bench.admin("payment") as payment, asyncio.timeout(MOST_SECONDS):
        await until_count(payment, _FEW_MOVED, keys, len(few))
        await until_count(payment, _MOVED, _invoices(numbers), count)
    await _outboxes_empty(bench)
    with bench.held("relay"):
        await bench.put_up("invoice.worker")
        async with bench.admin("invoice") as invoice, asyncio.timeout(MOST_SECONDS):
            await until_count(invoice, FEW_PAID, keys, len(few))
            await until_count(invoice, PAID, _invoices(numbers), count)
    async with bench.admin("invoice") as invoice:
        commits = await invoice.fetch(
            _COMMITS.format(table="invoices", where="id BETWEEN $1 AND $2"), *_invoices(numbers)
        )
    bench.found("book_per_s", rate(_pairs(commits)), detail={"invoices": count, "commits": len(commits)})


_FEW_MOVED = """
    SELECT count(*) FROM unnest($1::uuid[], $2::uuid[]) AS few (clinic_id, id)
    JOIN payables USING (clinic_id, id) WHERE settled_amount = due_amount
"""
_MOVED = "SELECT count(*) FROM payables WHERE settled_amount = due_amount AND id BETWEEN $1 AND $2"
_CLAIMED = "SELECT count(*) FROM inbox WHERE consumer = 'notification' AND event_id = ANY ($1)"
_COMMITS = """
    SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 AS at, count(*)::int AS rows
    FROM {table} WHERE {where} GROUP BY 1 ORDER BY 1
"""


def _pairs(commits: Sequence[Any]) -> list[tuple[float, int]]:
    return [(row["at"], row["rows"]) for row in commits]


def _invoices(numbers: range) -> tuple[UUID, UUID]:
    return Live(numbers[0]).invoice_id, Live(numbers[-1]).invoice_id


async def _outboxes_empty(bench: Bench) -> None:
    for service in ("payment", "notification", "invoice"):
        async with bench.admin(service) as admin, asyncio.timeout(MOST_SECONDS):
            while await admin.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
                await asyncio.sleep(0.05)


@measures("replay_per_s")
async def replay(bench: Bench) -> None:
    """A success published again under another id is claimed, and its receipt found written: all work but the last.

    The running system published these events; they are published again as often as needed, while no consumer runs.
    """
    count = 30_000 if bench.quick else 1_000_000
    known = await _read_successes(bench, 1_000)
    for part in ("notification.worker", "gateway"):
        await bench.put_down(part)
    first = new_id()
    last = await _tell(bench, known, count)
    await bench.put_up("notification.worker")
    async with bench.admin("notification") as notification:
        async with asyncio.timeout(MOST_SECONDS):
            await until_count(notification, _CLAIMED, (last,), len(last))
        commits = await notification.fetch(_COMMITS.format(table="inbox", where="event_id >= $1"), first)
    if (claimed := sum(row["rows"] for row in commits)) != count:
        raise NotSettled(f"{claimed} of {count} events were claimed")
    await bench.put_up("gateway")
    bench.found("replay_per_s", rate(_pairs(commits)), detail={"events": count, "commits": len(commits)})


async def _read_successes(bench: Bench, most: int) -> list[PaymentSucceeded]:
    """Successes that the topic holds. NotSettled when nothing has been settled yet."""
    topic = PaymentSucceeded.topic.name
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bench.system.kafka.bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        batches = await consumer.getmany(timeout_ms=5_000, max_records=most)
    finally:
        await consumer.stop()
    found = [PaymentSucceeded.decode(record.value) for records in batches.values() for record in records]
    if not found:
        raise NotSettled("no payment has succeeded yet: there is nothing to tell again")
    return found


async def _tell(bench: Bench, known: Sequence[PaymentSucceeded], count: int) -> list[UUID]:
    """Send that many; answers the ids of the last, which lie on every partition."""
    last: list[UUID] = []
    producer = AIOKafkaProducer(
        bootstrap_servers=bench.system.kafka.bootstrap_servers, acks="all", max_batch_size=128 * 1024
    )
    await producer.start()
    try:
        again = _again(known, count)
        while batch := [event for _, event in zip(range(AT_ONCE), again, strict=False)]:
            sent = [
                await producer.send(event.topic.name, event.encode(), key=str(event.key).encode())
                for event in batch
            ]
            await asyncio.gather(*sent)
            last = [event.id for event in batch]
    finally:
        await producer.stop()
    return last


def _again(known: Sequence[PaymentSucceeded], count: int) -> Iterator[PaymentSucceeded]:
    now = datetime.now(UTC)
    for n in range(count):
        yield known[n % len(known)].model_copy(update={"id": new_id(), "time": now})
