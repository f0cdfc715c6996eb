"""Events of an e-mail to a client, or to a clinic about one. Ids and template only: no address, no text."""

from typing import ClassVar
from uuid import UUID

from contracts.events import topics
from contracts.events.envelope import Event
from contracts.events.topics import Topic


class Notification(Event):
    key_field: ClassVar[str] = "delivery_id"

    delivery_id: UUID
    client_id: UUID
    template: str
    attempts: int


class NotificationSent(Notification):
    """An SMTP server took the e-mail."""

    topic: ClassVar[Topic] = topics.NOTIFICATION_SENT


class NotificationFailed(Notification):
    """An e-mail was refused for good, or tried too often."""

    topic: ClassVar[Topic] = topics.NOTIFICATION_FAILED

    reason: str
    """The SMTP status code, or the class of the error."""
