"""Records that no program of ours sends, through a real broker: none stops its group. A stopped one is not ready."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from contracts.events.payment import PaymentSettled
from deploy.ops.topics import ensure
from services.chassis.db.database import Connection
from services.chassis.ids import new_id
from services.chassis.kafka import consume
from services.chassis.kafka import subscribing as chassis_kafka
from services.chassis.kafka.consume import Consumer, Handler
from services.chassis.kafka.progress import UNREADY_SECONDS, NoProgress
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.system import until
from tests.unit.test_chassis_any_headers import Bytes

WITHIN = 30
TOPIC = PaymentSettled.topic.name
STRANGE: dict[str, tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = {
    "a key of 9,000 bytes": (b"k" * 9_000, b"{", []),
    "a key and a value of 400 kB": (b"k" * 400_000, b"v" * 400_000, []),
    "nothing": (None, None, []),
    "a header's name of any bytes": (b"k", b"{", [(Bytes(b"\xff\xfe"), b"\xff"), ("n", None)]),
    "NUL in a header": (b"k", b"{", [("\x00", b"\x00")]),
}


@pytest.fixture(scope="module")
async def broker(kafka: str) -> str:
    await ensure(kafka)
    return kafka


class Seen:
    """A group whose handler can be told to fail as if its database were away."""

    def __init__(self, db: ServiceDb) -> None:
        self.group = f"any-{new_id()}"
        self.ids: set[Any] = set()
        self.fails = False
        self.consumer = Consumer(db.worker, self.group, (Handler((PaymentSettled,), self.group, self.apply),))

    async def apply(self, tx: Connection, events: Sequence[PaymentSettled]) -> None:
        if self.fails:
            raise ConnectionResetError("cut")
        self.ids |= {event.id for event in events}


async def send(bootstrap: str, monkeypatch: pytest.MonkeyPatch, partition: int, *records: Any) -> None:
    """As one batch, with headers' names of any bytes."""
    monkeypatch.setattr(
        "aiokafka.producer.message_accumulator.DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy
    )
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=2**20) as sender:
        batch = sender.create_batch()
        for key, value, headers in records:
            assert batch.append(key=key, value=value, timestamp=None, headers=headers)
        await (await sender.send_batch(batch, TOPIC, partition=partition))


@pytest.mark.parametrize("what", STRANGE)
async def test_it_is_parked_and_what_lies_beside_it_is_applied(
    db_invoice: ServiceDb, broker: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(db_invoice)
    good = [a_settlement(new_id(), new_id(), eur(1)) for _ in range(4)]
    sent: list[Any] = [(str(each.key).encode(), each.encode(), []) for each in good]
    for partition in (0, 1, 2):
        await send(broker, monkeypatch, partition, sent[partition], *([STRANGE[what]] * (partition == 1)))

    async with chassis_kafka.running(chassis_kafka.broker_of(broker, "test", [seen.consumer])):
        await send(broker, monkeypatch, 1, sent[3])
        await until(lambda: {each.id for each in good} <= seen.ids, WITHIN)

    key, value, _ = STRANGE[what]
    kept = await db_invoice.admin.fetch("SELECT key, value FROM parked WHERE consumer = $1", seen.group)
    assert (key, value) in {(row["key"], row["value"]) for row in kept}


async def test_a_group_that_goes_round_for_ever_is_not_ready(
    db_invoice: ServiceDb, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consume, "RETRY_SECONDS", 0.1)
    seen, movement = Seen(db_invoice), a_settlement(new_id(), new_id(), eur(1))
    seen.fails = True
    reading = chassis_kafka.broker_of(broker, "test", [seen.consumer])
    (subscriber,) = reading.subscribers
    progress: Any = subscriber.progress  # type: ignore[attr-defined]
    async with chassis_kafka.running(reading):
        await send(broker, monkeypatch, 0, (str(movement.key).encode(), movement.encode(), []))
        await until(lambda: any(each.failed for each in progress.tries.values()), WITHIN)
        now = progress.clock
        progress.clock = lambda: now() + UNREADY_SECONDS
        with pytest.raises(NoProgress, match="its batches fail"):
            await chassis_kafka.check_progress(reading)
        assert await chassis_kafka.ping(reading) is None  # type: ignore[func-returns-value]

        seen.fails, progress.clock = False, now
        await until(lambda: movement.id in seen.ids and not progress.tries, WITHIN)
        await chassis_kafka.check_progress(reading)


async def test_a_record_in_a_compression_that_we_cannot_read_is_unpacked_by_the_broker(
    db_invoice: ServiceDb, broker: str
) -> None:
    """Only gzip needs no library of its own, so that alone can be sent here; the topic keeps nothing compressed."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)])
    finally:
        await admin.close()
    settings = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert settings["compression.type"] == "uncompressed"
