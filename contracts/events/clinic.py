"""Events of a clinic and its billing settings."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from contracts.events import topics
from contracts.events.envelope import Open, StateEvent
from contracts.events.topics import Topic
from contracts.money import Currency
from contracts.vocabulary import AcceptedMethod


class Contact(BaseModel):
    """How a client reaches the clinic. Business data, shown to everyone whom the clinic bills."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    phone: str
    email: str
    address: str
    hours: str


class ClinicState(StateEvent):
    """The public state of a clinic: its billing settings."""

    key_field: ClassVar[str] = "clinic_id"

    slug: str = Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")
    name: str
    currency: Currency
    time_zone: str
    locale: str
    billing_shown: bool
    """Clients see the billing section at all."""
    online_payment: bool
    """Clients see a Pay button."""
    methods: tuple[Open[AcceptedMethod], ...]
    """`unknown` is a method that this release cannot offer: readers offer the others."""
    contact: Contact
    accent: str = Field(pattern=r"^#[0-9a-f]{6}$")
    least_part: int | None = Field(default=None, strict=True, gt=0)
    """The smallest part of an invoice that clients may pay, in minor units of `currency`. Absent: no parts."""
    deposits: bool = False
    """Clients may pay before there is an invoice."""
    pay_links: bool = True
    """E-mails lead to a page that takes a payment without a login."""
    lost_dispute_reopens: bool = False
    """An invoice is due again when a dispute of its payment is lost."""
    undo_hours: int = Field(default=0, strict=True, ge=0)
    """How long corrections and refunds are held before they are done."""
    reminders: tuple[int, ...] = ()
    """The days, counted from the due date, on which clients are reminded by e-mail of an unpaid invoice."""
    amounts_in_subjects: bool = False
    """The subjects of e-mails to clients say sums."""
    attach_documents: bool = False
    """E-mails about documents carry them as PDF."""


class ClinicUpdated(ClinicState):
    """A clinic was put on, or its billing settings changed."""

    topic: ClassVar[Topic] = topics.CLINIC_UPDATED
