"""Decisions about e-mails: whether to send one now, and what a refusal leads to. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from contracts import pay_links, unsubscribing
from contracts.events.envelope import Event, Method, event_id
from contracts.events.notification import NotificationFailed, NotificationSent
from contracts.events.payment import Share
from contracts.money import Money
from contracts.pay_links import PayLinks
from contracts.unsubscribing import Choice, Unsubscribing
from contracts.vocabulary import chosen_mail, is_open
from services.chassis import emails
from services.chassis.errors import DomainError
from services.chassis.ids import Key, made_at
from services.chassis.locale.formats import Formats
from services.chassis.queue.domain import BackOff, Canceled, Failed, NewTask, Retry, Task, Waits
from services.notification.letters.domain import Letter
from services.notification.projections.domain import Clinic, Invoice, newest

E = TypeVar("E", bound=Event)

BACK_OFF = BackOff()
FIRST_CHECK = timedelta(seconds=2)
LONGEST_CHECK = timedelta(hours=1)
NUMBERS_WAIT = timedelta(minutes=1)
"""How long a receipt waits for the numbers of its invoices. Then it goes without: proof matters more."""
CONTACT_WAIT = timedelta(days=90)
"""How long an e-mail waits for its client's contact. One who is erased gets none any more."""


NO_MONEY = Money(minor=0, currency="XXX")
"""Of an e-mail that is about no sum, by ISO 4217's code for no currency."""


class ReceiptNotFound(DomainError):
    code = "receipt_not_found"
    status = 404


class DisputeData(BaseModel):
    """A dispute as an e-mail to its clinic shows it. `reason` is Stripe's word; `due_by` is the bank's deadline."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: UUID
    status: str
    reason: str | None = None
    due_by: datetime | None = None


class EmailData(BaseModel):
    """The event's data that an e-mail shows: ids, amounts and codes, nothing personal."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    amount: Money = NO_MONEY
    at: datetime
    invoices: tuple[Share, ...]
    due: tuple[Share, ...] = ()
    """Of money that was taken back: what was to be paid on these invoices right after."""
    method: Method | None = None
    surplus: Money | None = None
    failure_code: str | None = None
    to_credit: bool = False
    """A refund that became the client's credit."""
    dispute: DisputeData | None = None
    expires_on: date | None = None
    """Of a saved card: the last day on which it can be charged."""
    plan_day: int | None = None
    """Of a reminder: the day of the clinic's plan, counted from the due date."""


@dataclass(frozen=True, slots=True)
class Site:
    """The portal's address, and the links to it that are made `now`."""

    url: str
    pay_links: PayLinks
    now: datetime


@dataclass(frozen=True, slots=True)
class Links:
    """Where links of a clinic's e-mail lead: to its portal, behind a login; a pay link opens one invoice without."""

    site: Site
    clinic: Clinic

    @property
    def portal(self) -> str:
        return f"{self.site.url}/c/{self.clinic.slug}"

    def pay(self, invoice: Invoice) -> tuple[str, date]:
        """A pay link of the invoice, and the last day on which it works."""
        made = self.site.pay_links
        generation = invoice.pay_link_generation
        today = Formats.of(self.clinic).local(self.site.now).date()
        link = made.new(self.clinic.id, invoice.id, generation, today, invoice.due_on)
        return f"{self.site.url}{pay_links.path(made.token(link))}", link.expires_on

    def unsubscribe(self, client_id: UUID, template: str) -> str | None:
        """The page on which this client ends e-mails of the template; None for one that always comes."""
        kind = chosen_mail(template)
        if kind is None:
            return None
        token = Unsubscribing(self.site.pay_links.keys).token(Choice(self.clinic.id, client_id, kind))
        return f"{self.site.url}{unsubscribing.path(token)}"


@dataclass(frozen=True, slots=True)
class Recipient:
    """The client, or the clinic itself, as far as an e-mail needs it.

    unwanted    templates that it does without
    is_refused  the e-mail before this one was refused for good, under the same address
    """

    email: str
    name: str
    unwanted: frozenset[str] = frozenset()
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """An e-mail to queue. `event_id` is the event that leads to it, else its own; `subject_id` its payment, invoice or
    refund.
    """

    clinic_id: UUID
    id: UUID
    template: str
    client_id: UUID
    subject_id: UUID
    data: EmailData
    event_id: UUID
    traceparent: str | None = None

    @property
    def key(self) -> Key:
        return self.clinic_id, self.id

    def task(self, delay: timedelta) -> NewTask:
        """The task by which it is sent."""
        return NewTask(self.clinic_id, self.id, delay, traceparent=self.traceparent)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An e-mail whose task is claimed."""

    clinic_id: UUID
    id: UUID
    client_id: UUID
    template: str
    event_id: UUID
    subject_id: UUID
    data: EmailData
    task: Task


@dataclass(frozen=True, slots=True)
class Document:
    """A document at the invoice service: where it is read as PDF."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content: bytes


def each_event(event: Event) -> UUID | str:
    """Each event leads to an e-mail of its own."""
    return event.id


def event_began(event: Event) -> datetime:
    return made_at(event.id)


@dataclass(frozen=True, slots=True)
class EmailKind(Generic[E]):
    """A kind of e-mail: the event that leads to it, when it is sent, and its content.

    `subject_id` reads the id of the invoice, payment or refund from the event; `content` fills the templates named
    `template`, given where its links lead.
    """

    template: str
    event: type[E]
    subject_id: Callable[[E], UUID]
    data: Callable[[E], EmailData]
    content: "Callable[[Email, Links], dict[str, Any]]"
    delay: timedelta = timedelta(0)
    asks_for_money: bool = False
    """It leads to the payment page: dropped once nothing is to be paid, and held while an invoice is being checked."""
    needs_invoices: bool = False
    """It waits for its invoices however long that takes."""
    newest_only: bool = False
    """Several events of one subject in a batch lead to one e-mail."""
    applies: Callable[[E], bool] = lambda _: True
    """Whether this event leads to an e-mail at all."""
    occasion: Callable[[E], UUID | str] = each_event
    """Events of one occasion lead to one e-mail, whenever they come."""
    began: Callable[[E], datetime] = event_began
    """When the occasion began: the same moment in all of its events, since the e-mail's id is made from it."""
    to_clinic: bool = False
    """It goes to the address in the clinic's settings, and not to the client."""
    check: "Callable[[Claim, Clinic, datetime], Waits | Canceled | None] | None" = None
    """It drops or delays one right before it is sent."""
    ends_failures: bool = False
    """It drops the e-mails about earlier failures of its payment that were not sent yet."""
    undone_by: str | None = None
    """The kind of e-mail about the same subject that makes it untrue: it is dropped then, right before it is sent."""
    documents: "Callable[[Delivery], Sequence[Document]]" = lambda _: ()
    """The documents that it carries where its clinic attaches them."""

    @property
    def file(self) -> str:
        """The name of its templates."""
        return self.template


@dataclass(frozen=True, slots=True)
class TimedKind:
    """A kind of e-mail to which a day leads, and no event. `check` drops or delays one right before it is sent."""

    template: str
    content: "Callable[[Email, Links], dict[str, Any]]"
    check: "Callable[[Claim, Clinic, datetime], Waits | Canceled | None]"
    asks_for_money: bool = True
    needs_invoices: bool = True
    to_clinic: bool = False
    undone_by: str | None = None
    documents: "Callable[[Delivery], Sequence[Document]]" = lambda _: ()

    @property
    def file(self) -> str:
        """The name of its templates."""
        return self.template


AnyKind = EmailKind[Any] | TimedKind


@dataclass(frozen=True, slots=True)
class LetterKind:
    """A kind of letter: `content` fills the templates that all letters share, given the portal's address."""

    template: str
    content: "Callable[[LetterEmail, str], dict[str, Any]]"

    @property
    def file(self) -> str:
        """The name of its templates."""
        return "letter"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed e-mail with its kind and the rows that its content needs, as far as they are known."""

    kind: AnyKind

    delivery: Delivery
    clinic: Clinic | None
    recipient: Recipient | None
    """The client, also where the e-mail is to the clinic."""
    invoices: Mapping[UUID, Invoice]
    undone: bool = False
    """Whether there is an e-mail that makes it untrue."""


@dataclass(frozen=True, slots=True)
class Email:
    """A claimed e-mail with everything that its content needs."""

    kind: AnyKind

    delivery: Delivery
    clinic: Clinic
    recipient: Recipient
    invoices: Mapping[UUID, Invoice]

    @property
    def documents(self) -> "Sequence[Document]":
        """The documents that it carries; none where its clinic attaches none."""
        return self.kind.documents(self.delivery) if self.clinic.attach_documents else ()

    @property
    def subject_end(self) -> str:
        """The clinic's name, in an e-mail to a client."""
        return "" if self.kind.to_clinic else self.clinic.name

    def content(self, site: Site) -> dict[str, Any]:
        """The values of its templates."""
        links = Links(site, self.clinic)
        unsubscribe = links.unsubscribe(self.delivery.client_id, self.delivery.template)
        return self.kind.content(self, links) | {"unsubscribe": unsubscribe}


@dataclass(frozen=True, slots=True)
class LetterClaim:
    """A claimed letter with its kind, and the clinic in whose look it is, if that is known."""

    kind: LetterKind

    delivery: Letter
    clinic: Clinic | None


@dataclass(frozen=True, slots=True)
class LetterEmail:
    """A claimed letter with everything that its content needs."""

    kind: LetterKind

    delivery: Letter
    clinic: Clinic

    documents = ()
    subject_end = ""
    """A login may be of several clinics, and an address may be a stranger's: no clinic is named."""

    @property
    def recipient(self) -> Recipient:
        """The address. A login has no name."""
        return Recipient(self.delivery.email, "")

    def content(self, site: Site) -> dict[str, Any]:
        """The values of its templates."""
        return self.kind.content(self, site.url)


AnyClaim = Claim | LetterClaim
Outgoing = Email | LetterEmail


@dataclass(frozen=True, slots=True)
class Refusal:
    """The mail server did not accept the e-mail. `code` is the SMTP code or the class of the error."""

    code: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Sent:
    message_id: str


Outcome = Sent | Retry | Failed | Waits | Canceled
"""`Waits`: something is not known yet, `reason` names it. `Canceled`: the e-mail is not needed any more."""


def task_kind(template: str) -> str:
    """The kind of the tasks by which e-mails of a template are sent."""
    return f"email.{template}"


def new_deliveries(kind: EmailKind[Any], events: Iterable[Any]) -> list[NewDelivery]:
    """The e-mails of this kind to which the events lead."""
    return [
        NewDelivery(
            event.clinic_id,
            # The same occasion leads to the same e-mail, also in a service that was restored from a backup.
            event_id(kind.began(event), kind.template, event.client_id, kind.occasion(event)),
            kind.template,
            event.client_id,
            kind.subject_id(event),
            kind.data(event),
            event.id,
            event.traceparent,
        )
        for event in (newest(events) if kind.newest_only else events)
        if kind.applies(event)
    ]


def decide(claim: Claim, now: datetime) -> Email | Waits | Canceled | Failed:
    """Whether to send the e-mail now, let it wait, drop it, or give it up."""
    if claim.clinic is None:
        return _waits("no_clinic", claim)
    if claim.undone:
        return Canceled("undone_since")
    refused = claim.kind.check(claim, claim.clinic, now) if claim.kind.check else None
    if refused is not None:
        return refused
    recipient = _clinic_itself(claim.clinic) if claim.kind.to_clinic else claim.recipient
    if recipient is None:
        if claim.kind.to_clinic or claim.delivery.task.age >= CONTACT_WAIT:
            return Canceled("no_address")
        return _waits("no_contact", claim)
    if claim.delivery.template in recipient.unwanted:
        return Canceled("not_wanted")
    missing = any(share.invoice_id not in claim.invoices for share in claim.delivery.data.invoices)
    if missing and (claim.kind.needs_invoices or claim.delivery.task.age < NUMBERS_WAIT):
        return _waits("no_invoice", claim)
    if claim.kind.asks_for_money and _nothing_to_pay(claim):
        return Canceled("nothing_to_pay")
    if claim.kind.asks_for_money and any(each.being_checked for each in claim.invoices.values()):
        return _waits("being_checked", claim)
    if emails.usable(recipient.email) is None:
        return Failed(emails.EmailNotValid.code)  # it was stored before addresses were checked
    return Email(claim.kind, claim.delivery, claim.clinic, recipient, claim.invoices)


def decide_letter(claim: LetterClaim) -> LetterEmail | Waits | Canceled:
    """Whether to send the letter now, let it wait, or drop it because its link works no more."""
    left = claim.delivery.left
    if left is not None and left <= timedelta(0):
        return Canceled("link_ended")
    if claim.clinic is None:
        return _waits("no_clinic", claim)
    return LetterEmail(claim.kind, claim.delivery, claim.clinic)


def _clinic_itself(clinic: Clinic) -> Recipient | None:
    """The clinic at the address that its clients know; None if it has none."""
    return Recipient(clinic.email, clinic.name) if clinic.email else None


def _waits(reason: str, claim: Claim | LetterClaim) -> Waits:
    """Look again after as long as it has waited so far.

    Adding a contact releases its e-mails at once. This finds rows that came otherwise, or at the same moment.
    """
    return Waits(reason, min(max(claim.delivery.task.age, FIRST_CHECK), LONGEST_CHECK))


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
        "attempts": delivery.task.attempts + 1,
    }
    if isinstance(outcome, Failed):
        return NotificationFailed(**common, reason=outcome.reason)
    return NotificationSent(**common)


def after_refusal(refusal: Refusal, attempts: int, random: Random) -> Retry | Failed:
    """Another try later, or the end, once the `attempts`-th attempt was refused."""
    return Failed(refusal.code) if refusal.permanent else BACK_OFF.after(attempts, refusal.code, random)


def refused_address(outcome: Outcome) -> str | None:
    """Why an e-mail was given up because of its address; None for any other outcome.

    A mail server that was unreachable until the end says nothing about the address.
    """
    is_refusal = isinstance(outcome, Failed) and (
        outcome.reason.isdecimal() or outcome.reason == emails.EmailNotValid.code
    )
    return outcome.reason if is_refusal and isinstance(outcome, Failed) else None


def invoice_keys(deliveries: Iterable[Delivery]) -> set[Key]:
    return {
        (delivery.clinic_id, share.invoice_id) for delivery in deliveries for share in delivery.data.invoices
    }
