"""Where each consumer group continues to read after a restore."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiokafka.errors import CommitFailedError, RebalanceInProgressError, UnknownMemberIdError

from deploy.ops import topic_records
from deploy.ops.consumers import topics_of_groups
from services.chassis.settings import KafkaSecurity

LEAVES_WITHIN = 60.0
"""Seconds after which Kafka has surely given up a worker that was killed."""
_HAS_MEMBERS = (CommitFailedError, RebalanceInProgressError, UnknownMemberIdError)


class GroupHasMembers(Exception):
    """Kafka takes no offsets for a group in which a worker reads; the message is the group."""


async def put_back(servers: str, security: KafkaSecurity, since: datetime) -> list[str]:
    """Put every consumer group of every service to that moment, in all of its topics. Raises `GroupHasMembers`."""
    for group, names in topics_of_groups().items():
        async with topic_records.consumer(servers, security, group) as consumer:
            partitions = topic_records.all_partitions(names)
            consumer.assign(partitions)
            await _commit(consumer, group, await topic_records.offsets_at(consumer, partitions, since))
    return sorted(topics_of_groups())


async def _commit(consumer: Any, group: str, offsets: Mapping[Any, int]) -> None:
    deadline = asyncio.get_running_loop().time() + LEAVES_WITHIN
    while True:
        try:
            return await consumer.commit(offsets)  # type: ignore[no-any-return]
        except _HAS_MEMBERS:
            if asyncio.get_running_loop().time() > deadline:
                raise GroupHasMembers(group) from None
            await asyncio.sleep(1)
