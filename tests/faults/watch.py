"""The lag of the consumer groups, not read through the proxies."""

import contextlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts.events import topics
from services.chassis.db.database import Database
from services.chassis.kafka.consume import consumers_of
from services.invoice import consumers as invoice
from services.notification import consumers as notification
from services.payment import consumers as payment

PARTITIONS = {topic.name: topic.partitions for topic in topics.ALL}

TOPICS: Mapping[str, tuple[str, ...]] = {
    consumer.group: consumer.topics
    for module in (invoice, notification, payment)
    for consumer in consumers_of(module, Database(""))
}
"""The topics of each consumer group."""
GROUPS = tuple(TOPICS)


class Watch:
    """Two clients of Kafka that are kept between calls, and replaced after an error."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._clients: tuple[Any, Any] | None = None

    async def lag(self) -> dict[str, int]:
        """Records that a group has not acknowledged, by topic, if any. OSError if Kafka is unreachable."""
        try:
            admin, consumer = self._clients or await self._started()
            return await _lag(admin, consumer)
        except KafkaError as error:
            await self.close()
            raise ConnectionError(str(error)) from error

    async def close(self) -> None:
        clients, self._clients = self._clients, None
        if clients is not None:
            with contextlib.suppress(Exception):
                await clients[1].stop()
                await clients[0].close()

    async def _started(self) -> tuple[Any, Any]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap_servers, request_timeout_ms=5000)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap_servers, request_timeout_ms=5000)
        self._clients = (admin, consumer)
        await admin.start()
        await consumer.start()
        return admin, consumer


async def _lag(admin: Any, consumer: Any) -> dict[str, int]:
    """The lag against the topics' ends. Without an acknowledged offset, the whole topic is the lag."""
    lag: Counter[str] = Counter()
    for group, names in TOPICS.items():
        offsets = await admin.list_consumer_group_offsets(group)
        wanted = [TopicPartition(name, part) for name in names for part in range(PARTITIONS[name])]
        for partition, end in (await consumer.end_offsets(wanted)).items():
            committed = offsets[partition].offset if partition in offsets else 0
            lag[partition.topic] += max(0, end - max(committed, 0))
    return {topic: behind for topic, behind in lag.items() if behind}
