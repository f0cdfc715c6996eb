"""Asks for an answer: three databases, Stripe about payments that have not ended, and Kafka for lag."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from contracts.vocabulary import LIVE_PAYMENTS
from deploy.ops.consumers import topics_of_groups
from deploy.ops.database import connected
from deploy.ops.verify.access import Access
from deploy.ops.why.books import Books, read, read_consumed
from deploy.ops.why.references import SERVICES, find
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


async def why(access: Access, reference: str) -> Sequence[Journey]:
    """The journeys of all that the reference names. Raises what `database.UNREACHABLE` lists."""
    async with AsyncExitStack() as stack:
        databases = {
            name: await stack.enter_async_context(connected(access.databases[name])) for name in SERVICES
        }
        found = await find(databases, reference)
        named = [(key, None) for key in found.invoices] + [(key, key) for key in found.payments]
        read_first = [(*keys, await read(databases, *keys)) for keys in named]
        known = [each for each in read_first if each[2].invoice is not None or each[2].payments]
        books = [each for _, _, each in known]
        if access.stripe_secret_key:
            stripe = StripeApi(access.stripe_secret_key, access.stripe_api_base, STRIPE_SECONDS)
            stack.push_async_callback(stripe.close)
            for each in books:
                await _ask_stripe(stripe, each)
        if any(may_be_on_its_way(each) for each in books):
            behind = await _lag(access)
            for key, payment, each in known:
                each.behind = behind
                await read_consumed(databases, key, payment, each)
    return [
        *(journey(each) for each in books),
        *(journey_of_applied(each) for each in found.applied),
        *(journey_of_parked(each) for each in found.parked),
    ]


async def _ask_stripe(stripe: StripeApi, books: Books) -> None:
    for row in books.payments:
        if row["status"] in LIVE_PAYMENTS and row["intent"]:
            try:
                found = await stripe.retrieve_intent(row["account"], row["intent"])
            except DomainError:
                books.at_stripe[row["intent"]] = "unknown"
            else:
                books.at_stripe[row["intent"]] = found.status


async def _lag(access: Access) -> dict[str, int]:
    """Events that wait by group. Empty where no Kafka is given, or where it does not answer."""
    if not access.kafka:
        return {}
    topics = topics_of_groups()
    behind = dict.fromkeys(topics, 0)
    try:
        async with LagReader(access.kafka, access.kafka_security, topics) as reader:
            for each in await reader.lag():
                behind[each.group] += each.waiting
    except KafkaUnreachable:
        return {}
    return behind
