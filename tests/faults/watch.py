"""How far the consumer groups are behind their topics, asked past all links."""

import contextlib
from collections import Counter
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

GROUPS = ("payment", "payment-stripe", "invoice", "notification")


class Watch:
    """Two clients that are kept between questions, and made anew after an error."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._clients: tuple[Any, Any] | None = None

    async def lag(self) -> dict[str, int]:
        """Records that a group has not acknowledged, by topic; topics without any are left out. OSError if away."""
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
    lag: Counter[str] = Counter()
    for group in GROUPS:
        offsets = await admin.list_consumer_group_offsets(group)
        ends = await consumer.end_offsets(list(offsets))
        for partition, committed in offsets.items():
            lag[partition.topic] += max(0, ends[partition] - max(committed.offset, 0))
    return {topic: behind for topic, behind in lag.items() if behind}
