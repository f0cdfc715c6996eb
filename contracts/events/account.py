"""Events of the Stripe account on which a clinic's clients are charged."""

from typing import ClassVar

from contracts.events import topics
from contracts.events.envelope import StateEvent
from contracts.events.topics import Topic


class AccountUpdated(StateEvent):
    """A clinic's Stripe account became able or unable to take payments, or the clinic got another one."""

    topic: ClassVar[Topic] = topics.ACCOUNT_UPDATED
    key_field: ClassVar[str] = "clinic_id"

    takes_payments: bool
    """Whether a client can pay online at all. Until the first event of a clinic: yes."""
