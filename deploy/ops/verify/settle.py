"""Waiting until no event is on its way: outboxes sent, topics consumed."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from deploy.ops.consumers import CONSUMERS, topics_of_groups
from deploy.ops.verify.access import Access
from deploy.ops.verify.databases import connected
from deploy.ops.verify.report import MOST_ROWS, Breach, CannotCheck, Result
from services.chassis.kafka.lag import KafkaUnreachable, Lag, LagReader

LOOK_EVERY = 0.25

_OUTBOX = """
    SELECT id AS event_id, clinic_id, aggregatetype AS topic, aggregateid AS aggregate, created_at FROM outbox
    ORDER BY seq LIMIT $1
"""


async def settle(access: Access, deadline: float) -> list[Result]:
    """Wait for empty outboxes, and where Kafka is given for consumers without lag; at most until the deadline.

    What is left then are breaches. CannotCheck when Kafka cannot be reached.
    """
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        outboxes = {
            service: await connected(stack, service, access.databases[service]) for service in CONSUMERS
        }
        reader = await _entered(stack, access)
        while True:
            unsent = await _unsent(outboxes)
            lag = [] if unsent or not reader else await _lag(reader)
            if not (unsent or lag) or time.monotonic() >= deadline:
                break
            await asyncio.sleep(LOOK_EVERY)
        if unsent and reader:
            lag = await _lag(reader)
    seconds = time.monotonic() - began
    sent = Result("outboxes_are_sent", "outboxes", "Every committed event is sent", tuple(unsent), seconds)
    read = Result("consumers_are_done", "Kafka", "Every sent event is read by all who listen", tuple(lag), 0)
    return [sent, read] if reader else [sent]


async def _unsent(outboxes: Mapping[str, Any]) -> list[Breach]:
    found = []
    for service, connection in outboxes.items():
        rows = await connection.fetch(_OUTBOX, MOST_ROWS)
        found += [Breach("outboxes_are_sent", {"service": service, **row}) for row in rows]
    return found


async def _lag(reader: LagReader) -> list[Breach]:
    try:
        return [_behind(each) for each in await reader.lag()]
    except KafkaUnreachable as reason:
        raise CannotCheck(str(reason)) from None


async def _entered(stack: AsyncExitStack, access: Access) -> LagReader | None:
    """A reader of all groups' lag, closed with the stack; None where no Kafka is given."""
    if not access.kafka:
        return None
    try:
        return await stack.enter_async_context(
            LagReader(access.kafka, access.kafka_security, topics_of_groups())
        )
    except KafkaUnreachable as reason:
        raise CannotCheck(str(reason)) from None


def _behind(lag: Lag) -> Breach:
    row = {
        "group": lag.group,
        "topic": lag.topic,
        "partition": lag.partition,
        "events waiting": lag.waiting,
    }
    return Breach("consumers_are_done", row)
