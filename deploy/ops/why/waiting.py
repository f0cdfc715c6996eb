"""The cause for which a journey waits, and the words for an event that a service has not read."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from deploy.ops.why.books import Books

YOUNG = timedelta(minutes=1)
"""An event that is younger is on its way, and an e-mail that is younger is being sent."""
IF_IT_STAYS = "nothing yet: a worker that is up does so within seconds; if it stays"
"""The help with work that a worker does at once."""

KAFKA_AWAY = "docs/runbooks.md#when-kafka-or-a-broker-is-lost"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The cause for which the money, or its proof, waits now: a stable code, words, since when, and a way to help."""

    code: str
    text: str
    since: datetime | None
    help: str


def unread(
    reader: str, writer: str, text: str, since: datetime, books: Books, code: str = "not_applied"
) -> Waiting:
    """Of a fact of `writer`'s, of the time `since`, that `reader` has not applied: `text` says which.

    Publishing it again is advised only where no outbox and no topic has it.
    """
    behind, young = books.behind.get(reader), books.now - since < YOUNG
    if behind:
        waiting = f"{number_of(behind, 'event')} for {reader}'s worker"
        return Waiting(code, f"{text}: {waiting}", since, worker_help(reader, young=young))
    if young or in_outbox(writer, books):
        on_its_way = f"{text} yet: the event is on its way"
        return Waiting("on_its_way", on_its_way, since, "nothing: ask again in a minute")
    if books.kafka_away:
        return Waiting(code, f"{text}, and Kafka does not answer", since, KAFKA_AWAY)
    if behind is None:
        return Waiting(code, text, since, worker_help(reader, young=False))
    again = f"nothing waits in Kafka: `clinicpay verify`, then `clinicpay reemit --service {writer}`"
    return Waiting(code, text, since, again)


def worker_help(service: str, *, young: bool) -> str:
    runbook = f"is {service}'s worker up? docs/runbooks.md#consumerbehind"
    return f"{IF_IT_STAYS}, {runbook}" if young else runbook


def in_outbox(service: str, books: Books) -> bool:
    return any(event["service"] == service for event in books.unsent)


def number_of(count: int, noun: str) -> str:
    """How many wait, such as `1 event waits`."""
    return f"1 {noun} waits" if count == 1 else f"{count} {noun}s wait"
