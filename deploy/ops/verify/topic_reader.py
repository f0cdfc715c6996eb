"""Reading every topic from its beginning to where it ends now, by as many processes as there are cores to use."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError

from contracts.events import topics
from contracts.events.envelope import CloudEvent, Undecodable
from deploy.ops import topic_records
from deploy.ops.topic_records import Spans
from deploy.ops.verify.event_index import Pile
from deploy.ops.verify.report import CannotCheck
from services.chassis.settings import KafkaSecurity

Unreadable = tuple[str, int, int, str]
"""Topic, partition and offset of a record that is no event, and why it is none."""


async def read_all(
    bootstrap_servers: str, security: KafkaSecurity, pool: Executor, piles: Sequence[Path]
) -> list[Unreadable]:
    """Read all events into the piles, each by a process of its own. Returns the records that are no events."""
    async with _consumer(bootstrap_servers, security) as consumer:
        if missing := topics.BY_NAME.keys() - await consumer.topics():
            raise CannotCheck(f"there is no topic {', '.join(sorted(missing))}")
        spans = sorted((await topic_records.spans(consumer)).items())
    loop = asyncio.get_running_loop()
    parts = [dict(spans[number :: len(piles)]) for number in range(len(piles))]
    found = await asyncio.gather(
        *(
            loop.run_in_executor(pool, read_part, bootstrap_servers, security, part, pile)
            for part, pile in zip(parts, piles, strict=True)
        )
    )
    return [each for part in found for each in part]


def read_part(bootstrap_servers: str, security: KafkaSecurity, part: Spans, pile: Path) -> list[Unreadable]:
    """Read the events of these partitions into the pile."""
    return asyncio.run(_read_part(bootstrap_servers, security, part, pile))


@asynccontextmanager
async def _consumer(bootstrap_servers: str, security: KafkaSecurity) -> AsyncIterator[Any]:
    try:
        async with topic_records.consumer(bootstrap_servers, security) as consumer:
            yield consumer
    except (KafkaError, OSError, TimeoutError) as error:
        raise CannotCheck(f"the topics cannot be read: {type(error).__name__}") from None


async def _read_part(
    bootstrap_servers: str, security: KafkaSecurity, part: Spans, pile: Path
) -> list[Unreadable]:
    unreadable: list[Unreadable] = []
    async with _consumer(bootstrap_servers, security) as consumer:
        with Pile(pile) as events:
            async for records in topic_records.read(consumer, part):
                events.add(_events(records, unreadable))
    return unreadable


def _events(records: list[Any], unreadable: list[Unreadable]) -> list[CloudEvent]:
    events = []
    for record in records:
        try:
            events.append(topic_records.decoded(record))
        except Undecodable as error:
            unreadable.append((record.topic, record.partition, record.offset, str(error)))
    return events
