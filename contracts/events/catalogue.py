"""Which class reads which topic."""

from contracts.events import account, client, clinic, invoice, notification, payment, stripe
from contracts.events.envelope import CloudEvent, Undecodable

EVENTS: dict[str, type[CloudEvent]] = {
    event.topic.name: event
    for module in (account, client, clinic, invoice, notification, payment, stripe)
    for event in vars(module).values()
    if isinstance(event, type) and issubclass(event, CloudEvent) and "topic" in vars(event)
}
"""Every class of these modules that names its topic, by the topic's name."""


def decode(topic: str, raw: bytes) -> CloudEvent:
    """The event in a record of `topic`. Raises `Undecodable`."""
    event = EVENTS.get(topic)
    if event is None:
        raise Undecodable(f"no event is known on {topic}")
    return event.decode(raw)
