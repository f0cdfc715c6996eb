"""Decisions about e-mails: whether to send one now, and what a refusal leads to. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from contracts.events.envelope import Event, Method, event_id
from contracts.events.notification import NotificationFailed, NotificationSent
from contracts.events.payment import Share
from contracts.money import Money
from contracts.vocabulary import is_open
from services.chassis import emails
from services.chassis.ids import Key, made_at
from services.notification.projections.domain import Clinic, Invoice, newest

E = TypeVar("E", bound=Event)

MAX_ATTEMPTS = 18
"""With the back-off below: about a day and a half of trying."""
FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(hours=6)
FIRST_CHECK = timedelta(seconds=2)
LONGEST_CHECK = timedelta(hours=1)
NUMBERS_WAIT = timedelta(minutes=1)
"""How long a receipt waits for the numbers of its invoices. Then it goes without: proof matters more."""


class EmailData(BaseModel):
    """The event's data that an e-mail shows: ids, amounts and codes, nothing personal."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    amount: Money
    at: datetime
    invoices: tuple[Share, ...]
    method: Method | None = None
    surplus: Money | None = None
    failure_code: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """The client, as far as an e-mail needs it."""

    email: str
    name: str


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """An e-mail to queue. `cause` is the event that leads to it; `subject_id` its payment, invoice or refund."""

    id: UUID
    template: str
    client_id: UUID
    subject_id: UUID
    data: EmailData
    cause: Event


@dataclass(frozen=True, slots=True)
class Delivery:
    """A claimed e-mail. `claimed_until` is also the fence: after a lost lease no result is recorded.

    `age` is by the database's clock.
    """

    clinic_id: UUID
    id: UUID
    client_id: UUID
    template: str
    event_id: UUID
    subject_id: UUID
    data: EmailData
    traceparent: str | None
    attempts: int
    age: timedelta
    claimed_until: datetime
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True)
class EmailKind(Generic[E]):
    """A kind of e-mail: the event that leads to it, when it is sent, and its content.

    `subject_id` reads the id of the invoice, payment or refund from the event; `content` fills the templates named
    `template`, given the portal's address.
    """

    template: str
    event: type[E]
    subject_id: Callable[[E], UUID]
    data: Callable[[E], EmailData]
    content: "Callable[[Email, str], dict[str, Any]]"
    delay: timedelta = timedelta(0)
    asks_for_money: bool = False
    """It leads to the payment page: dropped once nothing is to be paid, and held while an invoice is being checked."""
    needs_invoices: bool = False
    """It waits for its invoices however long that takes."""
    newest_only: bool = False
    """Several events of one subject in a batch lead to one e-mail."""
    ends_failures: bool = False
    """It drops the e-mails about earlier failures of its payment that were not sent yet."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed e-mail with its kind and the rows that its content needs, as far as they are known."""

    kind: "EmailKind[Any]"

    delivery: Delivery
    clinic: Clinic | None
    recipient: Recipient | None
    invoices: Mapping[UUID, Invoice]


@dataclass(frozen=True, slots=True)
class Email:
    """A claimed e-mail with everything that its content needs."""

    kind: "EmailKind[Any]"

    delivery: Delivery
    clinic: Clinic
    recipient: Recipient
    invoices: Mapping[UUID, Invoice]


@dataclass(frozen=True, slots=True)
class Waits:
    """Something is not known yet; `reason` names it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The e-mail is not needed any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The mail server did not accept the e-mail. `code` is the SMTP code or the class of the error."""

    code: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Sent:
    message_id: str


@dataclass(frozen=True, slots=True)
class Retry:
    reason: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class Failed:
    reason: str


Outcome = Sent | Retry | Failed | Waits | Dropped


def new_deliveries(kind: EmailKind[Any], events: Iterable[Any]) -> list[NewDelivery]:
    """The e-mails of this kind to which the events lead."""
    return [
        NewDelivery(
            # The same event leads to the same e-mail, also in a service that was restored from a backup.
            event_id(made_at(event.id), kind.template, event.client_id, event.id),
            kind.template,
            event.client_id,
            kind.subject_id(event),
            kind.data(event),
            cause=event,
        )
        for event in (newest(events) if kind.newest_only else events)
    ]


def decide(claim: Claim) -> Email | Waits | Dropped | Failed:
    """Whether to send the e-mail now, let it wait, drop it, or give it up."""
    if claim.clinic is None:
        return Waits("no_clinic")
    if claim.recipient is None:
        return Waits("no_contact")
    missing = any(share.invoice_id not in claim.invoices for share in claim.delivery.data.invoices)
    if missing and (claim.kind.needs_invoices or claim.delivery.age < NUMBERS_WAIT):
        return Waits("no_invoice")
    if claim.kind.asks_for_money and _nothing_to_pay(claim):
        return Dropped("nothing_to_pay")
    if claim.kind.asks_for_money and any(each.being_checked for each in claim.invoices.values()):
        return Waits("being_checked")
    if emails.usable(claim.recipient.email) is None:
        return Failed(emails.EmailNotValid.code)  # it was stored before addresses were checked
    return Email(claim.kind, claim.delivery, claim.clinic, claim.recipient, claim.invoices)


def _nothing_to_pay(claim: Claim) -> bool:
    invoices = [claim.invoices.get(share.invoice_id) for share in claim.delivery.data.invoices]
    return bool(invoices) and all(invoice is not None and not is_open(invoice.status) for invoice in invoices)


def end_event(
    delivery: Delivery, outcome: Sent | Failed, at: datetime
) -> NotificationSent | NotificationFailed:
    """`notification.sent` or `notification.failed`. The same row gives the same event again."""
    topic = NotificationFailed.topic if isinstance(outcome, Failed) else NotificationSent.topic
    common: dict[str, Any] = {
        "id": event_id(at, topic.name, delivery.id),
        "time": at,
        "clinic_id": delivery.clinic_id,
        "delivery_id": delivery.id,
        "client_id": delivery.client_id,
        "template": delivery.template,
        "attempts": delivery.attempts + 1,
    }
    if isinstance(outcome, Failed):
        return NotificationFailed(**common, reason=outcome.reason)
    return NotificationSent(**common)


def after_refusal(refusal: Refusal, attempts: int, random: Random) -> Retry | Failed:
    """Another try later, or the end, once the `attempts`-th attempt was refused."""
    if refusal.permanent or attempts >= MAX_ATTEMPTS:
        return Failed(refusal.code)
    pause = min(FIRST_RETRY * 2 ** (attempts - 1), LONGEST_RETRY)
    return Retry(refusal.code, pause * random.uniform(0.75, 1.25))


def next_check(age: timedelta) -> timedelta:
    """How long until a waiting e-mail is checked again: as long as it has waited so far.

    Adding a contact releases its e-mails at once. This check finds rows that came otherwise, or at the same moment.
    """
    return min(max(age, FIRST_CHECK), LONGEST_CHECK)


def invoice_keys(deliveries: Iterable[Delivery]) -> set[Key]:
    return {
        (delivery.clinic_id, share.invoice_id) for delivery in deliveries for share in delivery.data.invoices
    }
