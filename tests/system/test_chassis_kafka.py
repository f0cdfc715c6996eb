"""Outbox, relay, Kafka and the subscriber together, on a real broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, get_args
from uuid import UUID

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from contracts.events.payment import PaymentSettled
from deploy.ops.topics import ensure
from services.chassis.db.database import Connection, Database
from services.chassis.ids import new_id
from services.chassis.kafka import subscribing as chassis_kafka
from services.chassis.kafka.adapter.subscriber import UnsafeSubscriber, assert_safe
from services.chassis.kafka.consume import Consumer, Handler
from services.chassis.outbox import outbox
from services.chassis.outbox.relay import AT_ONCE, SendFailed, Shard
from tests.builders.events import waiting_parked
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.system import until
from tests.service.plans import Mode, Statement, explained, tell_plans

WITHIN = 30


class Seen:
    """A consumer whose effects can be waited for."""

    def __init__(self, db: ServiceDb, group: str) -> None:
        self.events: list[PaymentSettled] = []
        self.changed = asyncio.Condition()
        self.consumer = Consumer(db.worker, group, (Handler((PaymentSettled,), group, self.apply),))

    async def apply(self, tx: Connection, events: Sequence[PaymentSettled]) -> None:
        async with self.changed:
            self.events.extend(events)
            self.changed.notify_all()

    async def until(self, ids: set[UUID]) -> None:
        """Other tests send to the topic too, so events are waited for by their ids."""
        async with asyncio.timeout(WITHIN), self.changed:
            await self.changed.wait_for(lambda: ids <= {event.id for event in self.events})


@pytest.fixture(scope="module")
async def broker(kafka: str) -> str:
    await ensure(kafka)
    return kafka


@contextlib.asynccontextmanager
async def producer(bootstrap: str, **more: Any) -> AsyncIterator[AIOKafkaProducer]:
    one = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, **more)
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


async def test_an_event_goes_from_the_outbox_through_kafka_to_its_effect(
    db_invoice: ServiceDb, broker: str
) -> None:
    seen = Seen(db_invoice, f"seen-{new_id()}")
    settled = [a_settlement(new_id(), new_id(), eur(n)) for n in range(1, 101)]
    async with db_invoice.worker.worker_tx() as tx:
        await outbox.add(tx, [(event, None) for event in settled])

    async with producer(broker) as sender, chassis_kafka.running(_broker_for(broker, seen)):
        relay = await asyncpg.connect(db_invoice.relay_dsn)
        sent = await Shard("invoice", db_invoice.relay_dsn, 0, 1, sender).send_waiting(relay)
        await relay.close()
        await seen.until({event.id for event in settled})

    assert sent == 100
    assert await db_invoice.admin.fetchval("SELECT count(*) FROM outbox") == 0


async def test_a_keys_events_keep_their_order(db_invoice: ServiceDb, broker: str) -> None:
    seen = Seen(db_invoice, f"order-{new_id()}")
    clinic, invoice = new_id(), new_id()
    settled = [a_settlement(clinic, invoice, eur(n)) for n in range(1, 41)]
    async with db_invoice.worker.worker_tx() as tx:
        await outbox.add(tx, [(event, None) for event in settled])

    async with producer(broker) as sender, chassis_kafka.running(_broker_for(broker, seen)):
        relay = await asyncpg.connect(db_invoice.relay_dsn)
        await Shard("invoice", db_invoice.relay_dsn, 0, 1, sender).send_waiting(relay)
        await relay.close()
        async with asyncio.timeout(WITHIN), seen.changed:
            await seen.changed.wait_for(lambda: sum(e.invoice_id == invoice for e in seen.events) == 40)

    assert [e.id for e in seen.events if e.invoice_id == invoice] == [event.id for event in settled]


async def test_shards_divide_an_outbox_without_overlap(db_invoice: ServiceDb, broker: str) -> None:
    async with db_invoice.worker.worker_tx() as tx:
        await outbox.add(tx, [(a_settlement(new_id(), new_id(), eur(n)), None) for n in range(1, 61)])

    async with producer(broker) as sender:
        relay = await asyncpg.connect(db_invoice.relay_dsn)
        sent = [
            await Shard("invoice", db_invoice.relay_dsn, shard, 3, sender).send_waiting(relay)
            for shard in range(3)
        ]
        await relay.close()

    assert sum(sent) == 60
    assert all(sent)


async def test_a_failed_send_deletes_nothing(db_invoice: ServiceDb, broker: str) -> None:
    async with db_invoice.worker.worker_tx() as tx:
        await outbox.add(tx, [(a_settlement(new_id(), new_id(), eur(1)), None)])
    await db_invoice.admin.execute("UPDATE outbox SET aggregatetype = 'no.such.topic'")

    async with producer(broker, request_timeout_ms=500) as sender:
        relay = await asyncpg.connect(db_invoice.relay_dsn)
        with pytest.raises(SendFailed):
            await Shard("invoice", db_invoice.relay_dsn, 0, 1, sender).send_waiting(relay)
        await relay.close()

    assert await db_invoice.admin.fetchval("SELECT count(*) FROM outbox") == 1


async def test_one_relay_at_a_time_holds_a_shard(db_invoice: ServiceDb, broker: str) -> None:
    async with producer(broker) as sender:
        first, second = (Shard("invoice", db_invoice.relay_dsn, 0, 1, sender) for _ in range(2))
        tasks = [asyncio.create_task(shard.run()) for shard in (first, second)]
        async with db_invoice.worker.worker_tx() as tx:
            await outbox.add(tx, [(a_settlement(new_id(), new_id(), eur(1)), None)])
        async with asyncio.timeout(WITHIN):
            while await db_invoice.admin.fetchval("SELECT count(*) FROM outbox"):
                await asyncio.sleep(0.01)
        locks = await db_invoice.admin.fetchval(
            """
            SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
            WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND datname = current_database()
            """
        )
        for task in tasks:
            task.cancel()

    assert locks == 1


async def test_relays_that_differ_in_the_number_of_shards_do_not_both_send(
    db_invoice: ServiceDb, broker: str
) -> None:
    """Shard 1 of two is nobody's: only the number of shards keeps its relay from sending. Alone, it does."""
    async with producer(broker) as sender:
        first = asyncio.create_task(Shard("invoice", db_invoice.relay_dsn, 0, 1, sender).run())
        await _until_shards(db_invoice, [1])
        connection = await asyncpg.connect(db_invoice.relay_dsn)
        second = Shard("invoice", db_invoice.relay_dsn, 1, 2, sender)
        try:
            assert not await second.try_lock(connection)
            first.cancel()
            await _until_shards(db_invoice, [])
            assert await second.try_lock(connection)
            assert await _shards(db_invoice) == [2]
        finally:
            await connection.close()


async def _until_shards(db: ServiceDb, wanted: list[int]) -> None:
    async with asyncio.timeout(WITHIN):
        while await _shards(db) != wanted:
            await asyncio.sleep(0.01)


async def _shards(db: ServiceDb) -> list[int]:
    """The numbers of shards that processes send by."""
    rows = await db.admin.fetch(
        """
        SELECT DISTINCT objid::int AS shards FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
        WHERE locktype = 'advisory' AND objsubid = 2 AND datname = current_database()
        """
    )
    return [row["shards"] for row in rows]


async def test_a_backlog_is_sent_by_statements_that_read_no_more_than_they_send(
    db_invoice: ServiceDb, broker: str
) -> None:
    await db_invoice.admin.execute(
        """
        INSERT INTO outbox (id, clinic_id, aggregatetype, aggregateid, payload)
        SELECT gen_random_uuid(), gen_random_uuid(), 'invoice.created', n::text, '{}'
        FROM generate_series(1, 20000) AS n
        """
    )
    await db_invoice.admin.execute("ANALYZE outbox")
    await tell_plans(db_invoice)
    relay = Database(db_invoice.relay_dsn)
    async with producer(broker) as sender:
        for mode in get_args(Mode):
            found: list[Statement] = []
            async with explained(relay.worker_tx(), mode, found) as tx:
                assert await Shard("invoice", db_invoice.relay_dsn, 0, 1, sender).send_waiting(tx) == AT_ONCE
            report = "\n".join(map(str, found))
            assert {"outbox_pkey"} == set().union(*(statement.indexes() for statement in found)), report
            assert max(statement.read() for statement in found) <= AT_ONCE, report
    await relay.close()


async def test_bad_records_are_parked_and_the_good_ones_between_them_applied(
    db_invoice: ServiceDb, broker: str
) -> None:
    """FastStream's own parser would skip this whole batch without a word."""
    seen = Seen(db_invoice, f"bad-{new_id()}")
    settled = a_settlement(new_id(), new_id(), eur(1))
    key = str(settled.key).encode()
    async with producer(broker) as sender, chassis_kafka.running(_broker_for(broker, seen)):
        topic = settled.topic.name
        await sender.send_and_wait(topic, value=b"{", key=b"a")
        await sender.send_and_wait(
            topic, value=settled.encode(), key=key, headers=[("x", b"\xff\xfe"), ("n", None)]
        )
        await sender.send_and_wait(topic, value=None, key=b"b")
        async with asyncio.timeout(WITHIN):
            while len(await waiting_parked(db_invoice)) < 2:
                await asyncio.sleep(0.02)
        await seen.until({settled.id})

    assert {reason for _, reason in await waiting_parked(db_invoice)} == {"undecodable"}


async def test_an_unacknowledged_batch_is_delivered_to_the_next_process(
    db_invoice: ServiceDb, broker: str
) -> None:
    """The offset is committed only after the database: a consumer that dies in between loses nothing."""
    group = f"dies-{new_id()}"
    dying, started = Seen(db_invoice, group), asyncio.Event()

    async def dies(tx: Connection, events: Sequence[PaymentSettled]) -> None:
        started.set()
        raise ConnectionResetError("cut")

    dying.consumer.handlers = (Handler((PaymentSettled,), group, dies),)
    settled = a_settlement(new_id(), new_id(), eur(1))
    first = _broker_for(broker, dying)
    first.config.broker_config.graceful_timeout = 0.1
    await first.start()
    async with producer(broker) as sender:
        await sender.send_and_wait(settled.topic.name, value=settled.encode(), key=str(settled.key).encode())
    async with asyncio.timeout(WITHIN):
        await started.wait()
    await first.stop()

    seen = Seen(db_invoice, group)
    async with chassis_kafka.running(_broker_for(broker, seen)), asyncio.timeout(WITHIN), seen.changed:
        await seen.changed.wait_for(lambda: settled.id in {event.id for event in seen.events})


async def test_a_topic_that_was_deleted_is_read_again_soon_after_it_was_rebuilt(
    db_invoice: ServiceDb, broker: str
) -> None:
    seen, settled = Seen(db_invoice, f"rebuilt-{new_id()}"), a_settlement(new_id(), new_id(), eur(1))
    reading = _broker_for(broker, seen)
    consumers: Sequence[Any] = reading.subscribers
    async with chassis_kafka.running(reading):
        await until(lambda: consumers[0].consumer.assignment(), WITHIN)
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        await admin.delete_topics([settled.topic.name])
        await admin.close()
        await until(lambda: not consumers[0].consumer.assignment(), WITHIN)
        await ensure(broker)
        async with producer(broker) as sender:
            await sender.send_and_wait(settled.topic.name, settled.encode(), key=str(settled.key).encode())

        await until(lambda: settled.id in {event.id for event in seen.events}, WITHIN)


def test_a_subscriber_that_could_lose_events_stops_the_process_from_starting() -> None:
    for unsafe in (
        {},
        {"ack_policy": AckPolicy.ACK, "auto_offset_reset": "earliest"},
        {"ack_policy": AckPolicy.NACK_ON_ERROR},
        {"ack_policy": AckPolicy.NACK_ON_ERROR, "auto_offset_reset": "earliest", "batch": False},
    ):
        broker = KafkaBroker("localhost:1", logger=None)
        broker.subscriber("a", group_id="g", **{"batch": True, **unsafe})  # type: ignore[call-overload]
        with pytest.raises(UnsafeSubscriber):
            assert_safe(broker)


def _broker_for(bootstrap: str, seen: Seen) -> KafkaBroker:
    return chassis_kafka.broker_of(bootstrap, "test", [seen.consumer])
