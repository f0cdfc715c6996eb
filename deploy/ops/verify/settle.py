"""Waiting until no event is on its way: outboxes sent, topics consumed."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import ModuleType
from typing import Any

import stamina
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.ops.verify.access import Access
from deploy.ops.verify.databases import connected
from deploy.ops.verify.report import MOST_ROWS, Breach, CannotCheck, Result
from services.chassis.db.database import Database
from services.chassis.kafka.consume import consumers_of
from services.chassis.settings import KafkaSecurity
from services.invoice import consumers as invoice
from services.notification import consumers as notification
from services.payment import consumers as payment

CONSUMERS: Mapping[str, ModuleType] = {"invoice": invoice, "payment": payment, "notification": notification}
LOOK_EVERY = 0.25
ANSWERS_WITHIN = 20

_OUTBOX = """
    SELECT id AS event_id, clinic_id, aggregatetype AS topic, aggregateid AS aggregate, created_at FROM outbox
    ORDER BY seq LIMIT $1
"""


def groups() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every consumer group: its service, and the topics it reads."""
    return {
        consumer.group: (service, consumer.topics)
        for service, module in CONSUMERS.items()
        for consumer in consumers_of(module, Database(""))
    }


async def settle(access: Access, deadline: float) -> list[Result]:
    """Wait for empty outboxes, and where Kafka is given for consumers without lag; at most until the deadline.

    What is left then are breaches. CannotCheck when Kafka cannot be reached.
    """
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        outboxes = {
            service: await connected(stack, service, access.databases[service]) for service in CONSUMERS
        }
        progress = (
            await stack.enter_async_context(Progress(access.kafka, access.kafka_security))
            if access.kafka
            else None
        )
        while True:
            unsent = await _unsent(outboxes)
            lag = [] if unsent or not progress else await progress.lag()
            if not (unsent or lag) or time.monotonic() >= deadline:
                break
            await asyncio.sleep(LOOK_EVERY)
        if unsent and progress:
            lag = await progress.lag()
    seconds = time.monotonic() - began
    sent = Result("outboxes_are_sent", "outboxes", "Every committed event is sent", tuple(unsent), seconds)
    read = Result("consumers_are_done", "Kafka", "Every sent event is read by all who listen", tuple(lag), 0)
    return [sent, read] if progress else [sent]


async def _unsent(outboxes: Mapping[str, Any]) -> list[Breach]:
    found = []
    for service, connection in outboxes.items():
        rows = await connection.fetch(_OUTBOX, MOST_ROWS)
        found += [Breach("outboxes_are_sent", {"service": service, **row}) for row in rows]
    return found


class Progress:
    """How far each consumer group is. An async context."""

    def __init__(self, bootstrap_servers: str, security: KafkaSecurity) -> None:
        options: dict[str, Any] = {"bootstrap_servers": bootstrap_servers, **security.options()}
        self._admin = AIOKafkaAdminClient(request_timeout_ms=10_000, **options)
        self._reader = AIOKafkaConsumer(enable_auto_commit=False, **options)
        self._servers = bootstrap_servers

    async def __aenter__(self) -> "Progress":
        try:
            await self._admin.start()
            await self._reader.start()
        except (KafkaError, OSError) as error:
            await self.__aexit__()
            raise CannotCheck(f"Kafka cannot be reached at {self._servers}: {type(error).__name__}") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.stop()
        await self._admin.close()

    async def lag(self) -> list[Breach]:
        """The partitions that a group has not read to the end. A broker that has just started may need a moment."""
        try:
            async for attempt in stamina.retry_context(on=KafkaError, timeout=ANSWERS_WITHIN, attempts=None):
                with attempt:
                    found = await self._lag()
        except (KafkaError, OSError, TimeoutError) as error:
            raise CannotCheck(f"Kafka does not answer at {self._servers}: {type(error).__name__}") from None
        return found

    async def _lag(self) -> list[Breach]:
        partitions = await self._partitions()
        begins = await self._reader.beginning_offsets(partitions)
        ends = await self._reader.end_offsets(partitions)
        found = []
        for group, (_, topics) in groups().items():
            committed = await self._admin.list_consumer_group_offsets(group)
            for each in sorted(part for part in partitions if part.topic in topics):
                done = committed[each].offset if each in committed else -1
                waiting = ends[each] - max(done, begins[each])
                if waiting > 0:
                    found.append(_behind(group, each, waiting))
        return found

    async def _partitions(self) -> list[TopicPartition]:
        wanted = sorted({topic for _, topics in groups().values() for topic in topics})
        described = await self._admin.describe_topics(wanted)
        return [
            TopicPartition(topic["topic"], part["partition"])
            for topic in described
            for part in topic["partitions"]
        ]


def _behind(group: str, partition: TopicPartition, waiting: int) -> Breach:
    row = {
        "group": group,
        "topic": partition.topic,
        "partition": partition.partition,
        "events waiting": waiting,
    }
    return Breach("consumers_are_done", row)
