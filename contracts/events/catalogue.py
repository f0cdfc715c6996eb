"""Which class reads which topic."""

from contracts.events.clinic import ClinicUpdated
from contracts.events.envelope import CloudEvent, Undecodable
from contracts.events.invoice import InvoiceCreated, InvoicePaid, InvoiceUpdated
from contracts.events.notification import NotificationFailed, NotificationSent
from contracts.events.payment import (
    PaymentCanceled,
    PaymentFailed,
    PaymentProcessing,
    PaymentRefunded,
    PaymentSettled,
    PaymentSucceeded,
    PaymentUpdated,
)
from contracts.events.stripe import StripeEvent

EVENTS: dict[str, type[CloudEvent]] = {
    event.topic.name: event
    for event in (
        ClinicUpdated,
        InvoiceCreated,
        InvoiceUpdated,
        InvoicePaid,
        PaymentProcessing,
        PaymentSucceeded,
        PaymentFailed,
        PaymentCanceled,
        PaymentSettled,
        PaymentUpdated,
        PaymentRefunded,
        StripeEvent,
        NotificationSent,
        NotificationFailed,
    )
}


def decode(topic: str, raw: bytes) -> CloudEvent:
    """The event in a record of `topic`. Raises `Undecodable`."""
    event = EVENTS.get(topic)
    if event is None:
        raise Undecodable(f"no event is known on {topic}")
    return event.decode(raw)
