"""Asks for an answer: three databases, Stripe about payments that have not ended, and Kafka for lag."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from contracts.vocabulary import LIVE_PAYMENTS
from deploy.ops.consumers import topics_of_groups
from deploy.ops.database import UNREACHABLE, looked_at
from deploy.ops.verify.access import Access
from deploy.ops.why.books import Books, read, read_consumed
from deploy.ops.why.references import SERVICES, Row, find
from deploy.ops.why.story import (
    Journey,
    journey,
    journey_of_applied,
    journey_of_parked,
    may_be_on_its_way,
)
from services.chassis.errors import DomainError
from services.chassis.kafka.lag import KafkaUnreachable, LagReader
from services.payment.stripe.api import StripeApi

STRIPE_SECONDS = 5


class DatabaseAway(OSError):
    """One of the databases that are asked does not answer; the message names it."""


async def why(access: Access, reference: str) -> Sequence[Journey]:
    """The journeys of all that the reference names. Raises what `database.UNREACHABLE` lists."""
    async with AsyncExitStack() as stack:
        databases = {name: await _connected(stack, name, access.databases[name]) for name in SERVICES}
        found = await find(databases, reference)
        named = [(key, None) for key in found.invoices] + [(key, key) for key in found.payments]
        read_first = [(*keys, await read(databases, *keys)) for keys in named]
        known = [each for each in read_first if each[2].invoice is not None or each[2].payments]
        books = [each for _, _, each in known]
        if access.stripe_secret_key:
            stripe = StripeApi(access.stripe_secret_key, access.stripe_api_base, STRIPE_SECONDS)
            stack.push_async_callback(stripe.close)
            await asyncio.gather(*(_ask_stripe(stripe, each, row) for each in books for row in _asked(each)))
        if any(may_be_on_its_way(each) for each in books):
            behind, away = await _lag(access)
            for key, payment, each in known:
                each.behind, each.kafka_away = behind, away
                await read_consumed(databases, key, payment, each)
    return [
        *(journey(each) for each in books),
        *(journey_of_applied(each) for each in found.applied),
        *(journey_of_parked(each) for each in found.parked),
    ]


async def _connected(stack: AsyncExitStack, name: str, dsn: str) -> Any:
    try:
        return await stack.enter_async_context(looked_at(dsn))
    except UNREACHABLE as error:
        raise DatabaseAway(f"the database of {name} does not answer ({type(error).__name__})") from error


def _asked(books: Books) -> list[Row]:
    """The payments that have not ended: Stripe may know more of them."""
    return [row for row in books.payments if row["status"] in LIVE_PAYMENTS and row["intent"]]


async def _ask_stripe(stripe: StripeApi, books: Books, payment: Row) -> None:
    """The client tries again by itself, so the time is for all its tries."""
    try:
        async with asyncio.timeout(STRIPE_SECONDS):
            found = await stripe.retrieve_intent(payment["account"], payment["intent"])
    except (DomainError, TimeoutError):
        books.at_stripe[payment["intent"]] = "unknown"
    else:
        books.at_stripe[payment["intent"]] = found.status


async def _lag(access: Access) -> tuple[dict[str, int], bool]:
    """Events that wait by group, and whether Kafka does not answer. Empty then, and where no Kafka is given."""
    if not access.kafka:
        return {}, False
    topics = topics_of_groups()
    behind = dict.fromkeys(topics, 0)
    try:
        async with LagReader(access.kafka, access.kafka_security, topics) as reader:
            for each in await reader.lag():
                behind[each.group] += each.waiting
    except KafkaUnreachable:
        return {}, True
    return behind, False
