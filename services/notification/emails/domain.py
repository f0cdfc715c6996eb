"""Pure decisions about e-mails: which to write, whether to send one now, and what a refusal means. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from contracts.events import Event, Method, StateEvent, event_id
from contracts.invoice import InvoiceCreated
from contracts.money import Money
from contracts.notification import NotificationFailed, NotificationSent
from contracts.payment import PaymentFailed, PaymentRefunded, PaymentSucceeded, Share
from contracts.vocabulary import is_open
from services.chassis import emails
from services.chassis.errors import DomainError
from services.chassis.ids import Key, new_id

E = TypeVar("E", bound=StateEvent)
Template = Literal["invoice_ready", "receipt", "payment_failed", "refund"]

MAX_ATTEMPTS = 18
"""With the back-off below: about a day and a half of trying."""
FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(hours=6)
FIRST_LOOK = timedelta(seconds=2)
LONGEST_LOOK = timedelta(hours=1)
NUMBERS_WAIT = timedelta(minutes=1)
"""How long a receipt waits for the numbers of its invoices. Then it goes without: proof matters more."""
ASK_FOR_MONEY: frozenset[Template] = frozenset({"invoice_ready", "payment_failed"})
"""E-mails that lead to the payment page. None is sent of an invoice that is being checked."""


class ContactNotFound(DomainError):
    code = "contact_not_found"
    status = 404


class Facts(BaseModel):
    """What an e-mail is about, as the event told it: ids, amounts and codes, nothing personal."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    amount: Money
    at: datetime
    invoices: tuple[Share, ...]
    method: Method | None = None
    surplus: Money | None = None
    failure_code: str | None = None


@dataclass(frozen=True, slots=True)
class Clinic:
    """The sender. `locale` and `time_zone` decide how money and days are written."""

    id: UUID
    slug: str
    name: str
    locale: str
    time_zone: str
    accent: str
    billing_shown: bool
    online_payment: bool
    phone: str
    email: str
    address: str
    hours: str


@dataclass(frozen=True, slots=True)
class Contact:
    client_id: UUID
    email: str
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class Invoice:
    id: UUID
    number: str
    status: str
    due: Money
    due_on: date
    being_checked: bool = False


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """An e-mail to write. `cause` is the event that asks for it; `subject_id` its payment, invoice or refund."""

    id: UUID
    template: Template
    client_id: UUID
    subject_id: UUID
    facts: Facts
    cause: Event


@dataclass(frozen=True, slots=True)
class Delivery:
    """A claimed e-mail. `claimed_until` is also the fence: who lost the lease cannot record a result.

    `age` is by the database's clock.
    """

    clinic_id: UUID
    id: UUID
    client_id: UUID
    template: Template
    event_id: UUID
    subject_id: UUID
    facts: Facts
    traceparent: str | None
    attempts: int
    age: timedelta
    claimed_until: datetime
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed e-mail with all that is known for writing it."""

    delivery: Delivery
    clinic: Clinic | None
    contact: Contact | None
    invoices: Mapping[UUID, Invoice]


@dataclass(frozen=True, slots=True)
class Letter:
    """All that a template needs, and that is known to be there."""

    delivery: Delivery
    clinic: Clinic
    contact: Contact
    invoices: Mapping[UUID, Invoice]


@dataclass(frozen=True, slots=True)
class Waits:
    """Something is not known yet; `reason` names it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The e-mail would tell nothing true or useful any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """What came back instead of an acceptance. `code` is the SMTP code or the class of the error."""

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


def newest(events: Iterable[E]) -> list[E]:
    """The newest version of each aggregate, in order of (clinic, id) so that rows are locked in one order."""
    latest: dict[tuple[UUID, str], E] = {}
    for event in events:
        key = (event.clinic_id, str(event.key))
        if key not in latest or event.version > latest[key].version:
            latest[key] = event
    return [latest[key] for key in sorted(latest)]


def announce(created: Iterable[InvoiceCreated]) -> list[NewDelivery]:
    """Word to each client of an invoice."""
    return [_delivery("invoice_ready", event, event.invoice_id, _invoice_facts(event)) for event in created]


def receipts(succeeded: Iterable[PaymentSucceeded]) -> list[NewDelivery]:
    """One receipt a payment, which lists its invoices."""
    return [_delivery("receipt", event, event.payment_id, _payment_facts(event)) for event in succeeded]


def bad_news(failed: Iterable[PaymentFailed]) -> list[NewDelivery]:
    """Word of each payment that did not go through, once however many of its attempts came together."""
    return [
        _delivery("payment_failed", event, event.payment_id, _payment_facts(event))
        for event in newest(failed)
    ]


def refund_letters(refunded: Iterable[PaymentRefunded]) -> list[NewDelivery]:
    """Word of money that was sent back, once a refund."""
    return [
        _delivery(
            "refund",
            event,
            event.refund_id,
            Facts(amount=event.amount, at=event.time, invoices=(), method=event.method),
        )
        for event in refunded
    ]


def _delivery(
    template: Template,
    cause: InvoiceCreated | PaymentSucceeded | PaymentFailed | PaymentRefunded,
    subject_id: UUID,
    facts: Facts,
) -> NewDelivery:
    return NewDelivery(new_id(), template, cause.client_id, subject_id, facts, cause)


def _invoice_facts(event: InvoiceCreated) -> Facts:
    due = event.due
    share = Share(invoice_id=event.invoice_id, amount=due)
    return Facts(amount=due, at=event.time, invoices=(share,))


def _payment_facts(event: PaymentSucceeded | PaymentFailed) -> Facts:
    return Facts(
        amount=event.amount,
        at=event.time,
        invoices=event.invoices,
        method=event.method,
        surplus=event.surplus,
        failure_code=event.failure_code,
    )


def address(claim: Claim) -> Letter | Waits | Dropped | Failed:
    """The letter to write now; or what it waits for, why nobody needs it any more, or why it cannot be sent."""
    if claim.clinic is None:
        return Waits("no_clinic")
    if claim.contact is None:
        return Waits("no_contact")
    missing = any(share.invoice_id not in claim.invoices for share in claim.delivery.facts.invoices)
    if missing and (claim.delivery.template == "invoice_ready" or claim.delivery.age < NUMBERS_WAIT):
        return Waits("no_invoice")
    if claim.delivery.template != "receipt" and _nothing_to_pay(claim):
        return Dropped("nothing_to_pay")
    if claim.delivery.template in ASK_FOR_MONEY and any(
        each.being_checked for each in claim.invoices.values()
    ):
        return Waits("being_checked")
    if emails.usable(claim.contact.email) is None:
        return Failed(emails.EmailNotValid.code)  # kept before addresses were checked
    return Letter(claim.delivery, claim.clinic, claim.contact, claim.invoices)


def _nothing_to_pay(claim: Claim) -> bool:
    invoices = [claim.invoices.get(share.invoice_id) for share in claim.delivery.facts.invoices]
    return bool(invoices) and all(invoice is not None and not is_open(invoice.status) for invoice in invoices)


def fact_about(
    delivery: Delivery, outcome: Sent | Failed, at: datetime
) -> NotificationSent | NotificationFailed:
    """What others may know of an e-mail's end. Made again from the same row, it is the same event."""
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


def after(refusal: Refusal, attempts: int, random: Random) -> Retry | Failed:
    """What a refusal of the `attempts`-th attempt leads to: another try later, or the end."""
    if refusal.permanent or attempts >= MAX_ATTEMPTS:
        return Failed(refusal.code)
    pause = min(FIRST_RETRY * 2 ** (attempts - 1), LONGEST_RETRY)
    return Retry(refusal.code, pause * random.uniform(0.75, 1.25))


def next_look(age: timedelta) -> timedelta:
    """When to look again for what a waiting e-mail lacks: its wait so far, once more.

    Putting a contact does not wait for this; it is for what came by another way, or at the same moment.
    """
    return min(max(age, FIRST_LOOK), LONGEST_LOOK)


def invoice_keys(deliveries: Iterable[Delivery]) -> set[Key]:
    return {
        (delivery.clinic_id, share.invoice_id) for delivery in deliveries for share in delivery.facts.invoices
    }
