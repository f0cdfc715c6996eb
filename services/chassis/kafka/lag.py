"""How far each consumer group is behind its topics, as Kafka knows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import stamina
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.chassis.settings import KafkaSecurity

ANSWERS_WITHIN = 20
"""Seconds for which a question is repeated: a broker that has just started may need a moment."""


class KafkaUnreachable(Exception):
    """Kafka cannot be reached, or does not answer. The text names the servers."""


@dataclass(frozen=True, slots=True)
class Lag:
    """A partition that a group has not read to its end."""

    group: str
    topic: str
    partition: int
    waiting: int
    """Events between the group's committed offset and the partition's end."""
    end: int = 0
    """The partition's end."""


class LagReader:
    """Reads the lag of consumer groups. An async context; entering it raises `KafkaUnreachable`."""

    def __init__(
        self, bootstrap_servers: str, security: KafkaSecurity, groups: Mapping[str, Sequence[str]]
    ) -> None:
        """`groups`: the topics that each group reads."""
        options: dict[str, Any] = {"bootstrap_servers": bootstrap_servers, **security.options()}
        self._admin = AIOKafkaAdminClient(request_timeout_ms=10_000, **options)
        # It learns of one topic a try, with a pause between two tries: at 100 ms, its default, that took two seconds.
        self._reader = AIOKafkaConsumer(enable_auto_commit=False, retry_backoff_ms=5, **options)
        self._servers, self._groups = bootstrap_servers, groups

    async def __aenter__(self) -> Self:
        try:
            await self._admin.start()
            await self._reader.start()
        except (KafkaError, OSError) as error:
            await self.__aexit__()
            raise KafkaUnreachable(
                f"Kafka cannot be reached at {self._servers}: {type(error).__name__}"
            ) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.stop()
        await self._admin.close()

    async def lag(self) -> list[Lag]:
        """The partitions that a group has not read to the end; none when all is consumed."""
        try:
            async for attempt in stamina.retry_context(on=KafkaError, timeout=ANSWERS_WITHIN, attempts=None):
                with attempt:
                    found = await self._lag()
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaUnreachable(
                f"Kafka does not answer at {self._servers}: {type(error).__name__}"
            ) from None
        return found

    async def _lag(self) -> list[Lag]:
        partitions = await self._partitions()
        begins = await self._reader.beginning_offsets(partitions)
        ends = await self._reader.end_offsets(partitions)
        found = []
        for group, topics in self._groups.items():
            committed = await self._admin.list_consumer_group_offsets(group)
            for each in sorted(part for part in partitions if part.topic in topics):
                done = committed[each].offset if each in committed else -1
                waiting = ends[each] - max(done, begins[each])
                if waiting > 0:
                    found.append(Lag(group, each.topic, each.partition, waiting, ends[each]))
        return found

    async def _partitions(self) -> list[TopicPartition]:
        wanted = sorted({topic for topics in self._groups.values() for topic in topics})
        described = await self._admin.describe_topics(wanted)
        return [
            TopicPartition(topic["topic"], part["partition"])
            for topic in described
            for part in topic["partitions"]
        ]
