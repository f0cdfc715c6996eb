"""A batch that is given up after its retries: the broker must deliver it again, to the same process, unasked."""

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaProducer

from contracts.events.payment import PaymentSettled
from deploy.ops.topics import ensure
from services.chassis.db.database import Connection
from services.chassis.ids import new_id
from services.chassis.kafka import consume
from services.chassis.kafka import subscribing as chassis_kafka
from services.chassis.kafka.consume import Consumer, Handler
from services.chassis.kafka.park import Record
from tests.builders.events import waiting_parked
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb


class GivesUp(Consumer):
    """Tells when a batch has gone through all its retries in vain."""

    gave_up: asyncio.Event

    async def consume(self, records: Sequence[Record]) -> None:
        try:
            await super().consume(records)
        except ConnectionResetError:
            self.gave_up.set()
            raise


async def test_a_batch_that_was_given_up_is_delivered_again(
    db_invoice: ServiceDb, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consume, "RETRY_SECONDS", 0.1)
    await ensure(kafka)
    settled, applied = a_settlement(new_id(), new_id(), eur(1)), asyncio.Event()

    async def apply(tx: Connection, events: Sequence[PaymentSettled]) -> None:
        if not consumer.gave_up.is_set():
            raise ConnectionResetError("cut")
        if settled.id in {event.id for event in events}:
            applied.set()

    group = f"gives-up-{new_id()}"
    consumer = GivesUp(db_invoice.worker, group, (Handler((PaymentSettled,), group, apply),))
    consumer.gave_up = asyncio.Event()
    async with chassis_kafka.running(chassis_kafka.broker_of(kafka, "test", [consumer])):
        async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as sender:
            await sender.send_and_wait(
                settled.topic.name, value=settled.encode(), key=str(settled.key).encode()
            )
        async with asyncio.timeout(30):
            await applied.wait()

    assert await waiting_parked(db_invoice) == []
