"""The topic registry: one topic per event type, who writes it, who reads it, how long it is kept.

Partitions are many from the start: adding some later would move keys to other partitions, and a key's
order would be lost.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a reader treats a topic's events."""

    STATE = "state"
    """The aggregate's whole public state at a version: a reader takes what is newer than what it holds."""
    MOVEMENT = "movement"
    """A delta without a version: never dropped, unique by its id, added up in any order. A parked one holds back none;
    its aggregate is being checked until it is applied or discarded."""
    NOTICE = "notice"
    """Something that happened once, in any order: applied or parked on its own."""


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    kind: Kind
    writer: str
    readers: tuple[str, ...]
    partitions: int = 12
    retention_days: int = 14


CLINIC_UPDATED = Topic("clinic.updated", Kind.STATE, "invoice", ("payment", "notification"), partitions=3)

CLIENT_ERASED = Topic("client.erased", Kind.NOTICE, "invoice", ("payment", "notification"), partitions=3)

_INVOICE_READERS = ("payment", "notification", "gateway")
INVOICE_CREATED = Topic("invoice.created", Kind.STATE, "invoice", _INVOICE_READERS)
INVOICE_UPDATED = Topic("invoice.updated", Kind.STATE, "invoice", _INVOICE_READERS)
INVOICE_PAID = Topic("invoice.paid", Kind.STATE, "invoice", _INVOICE_READERS)
INVOICE_CREDITED = Topic("invoice.credited", Kind.STATE, "invoice", _INVOICE_READERS)
INVOICE_VOIDED = Topic("invoice.voided", Kind.STATE, "invoice", _INVOICE_READERS)
INVOICE_OVERDUE = Topic("invoice.overdue", Kind.STATE, "invoice", _INVOICE_READERS)

ACCOUNT_UPDATED = Topic("account.updated", Kind.STATE, "payment", ("notification",), partitions=3)
PAYMENT_PROCESSING = Topic("payment.processing", Kind.STATE, "payment", ("invoice", "gateway"))
PAYMENT_SUCCEEDED = Topic("payment.succeeded", Kind.STATE, "payment", ("notification", "gateway"))
PAYMENT_FAILED = Topic("payment.failed", Kind.STATE, "payment", ("invoice", "notification", "gateway"))
PAYMENT_CANCELED = Topic("payment.canceled", Kind.STATE, "payment", ("invoice", "gateway"))
PAYMENT_SETTLED = Topic("payment.settled", Kind.MOVEMENT, "payment", ("invoice",))
PAYMENT_UPDATED = Topic("payment.updated", Kind.NOTICE, "payment", ("invoice", "gateway"))
PAYMENT_REFUNDED = Topic("payment.refunded", Kind.NOTICE, "payment", ("notification",))
PAYMENT_REVERSED = Topic("payment.reversed", Kind.NOTICE, "payment", ("notification",), partitions=3)
PAYMENT_METHOD_EXPIRING = Topic(
    "payment.method_expiring", Kind.NOTICE, "payment", ("notification",), partitions=3
)
PAYMENT_DISPUTED = Topic("payment.disputed", Kind.STATE, "payment", ("notification",), partitions=3)

STRIPE_EVENT = Topic("stripe.event", Kind.NOTICE, "payment", ("payment",))

NOTIFICATION_SENT = Topic("notification.sent", Kind.NOTICE, "notification", (), partitions=3)
NOTIFICATION_FAILED = Topic("notification.failed", Kind.NOTICE, "notification", (), partitions=3)

ALL: tuple[Topic, ...] = (
    CLINIC_UPDATED,
    CLIENT_ERASED,
    INVOICE_CREATED,
    INVOICE_UPDATED,
    INVOICE_PAID,
    INVOICE_CREDITED,
    INVOICE_VOIDED,
    INVOICE_OVERDUE,
    ACCOUNT_UPDATED,
    PAYMENT_PROCESSING,
    PAYMENT_SUCCEEDED,
    PAYMENT_FAILED,
    PAYMENT_CANCELED,
    PAYMENT_SETTLED,
    PAYMENT_UPDATED,
    PAYMENT_REFUNDED,
    PAYMENT_REVERSED,
    PAYMENT_METHOD_EXPIRING,
    PAYMENT_DISPUTED,
    STRIPE_EVENT,
    NOTIFICATION_SENT,
    NOTIFICATION_FAILED,
)

BY_NAME: dict[str, Topic] = {topic.name: topic for topic in ALL}
