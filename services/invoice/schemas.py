"""What goes in and out over HTTP. Plain values, so domain functions take the questions as they are.

Money is integer minor units with an ISO 4217 currency; quantities and percents are decimal texts; times are
aware and answered in UTC. A question with a field that nobody knows is refused.
"""

from datetime import date, datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import msgspec

from contracts.currencies import Charge
from contracts.vocabulary import AcceptedMethod, InvoiceStatus, MovementKind

T = TypeVar("T")


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody sends us."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What we send back."""


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    minor: int
    currency: str


class Page(Answer, Generic[T], frozen=True, kw_only=True):
    """One page of a list; `next` is the cursor of the following one, null at the end."""

    items: list[T]
    next: str | None = None


class TaxRateShape(Question, frozen=True, kw_only=True):
    """`percent` is a decimal text with up to three places, "0" to "100"."""

    code: str
    name: str
    percent: str


class Contact(Question, frozen=True, kw_only=True):
    """How clients reach the clinic; any of it may be empty."""

    phone: str = ""
    email: str = ""
    address: str = ""
    hours: str = ""


class ClinicIn(Question, frozen=True, kw_only=True):
    """A clinic and its billing settings, whole: what is left out takes its default."""

    slug: str
    name: str
    currency: str
    time_zone: str
    locale: str = "en-IE"
    billing_shown: bool = True
    online_payment: bool = True
    methods: tuple[AcceptedMethod, ...] = ("card", "redirect")
    contact: Contact = Contact()
    accent: str = "#0b6e6e"
    tax_rates: tuple[TaxRateShape, ...] = ()


class ClinicOut(Answer, frozen=True, kw_only=True):
    """A clinic and its billing settings. `version` counts its changes, as `clinic.updated` does."""

    id: UUID
    slug: str
    name: str
    currency: str
    time_zone: str
    locale: str
    billing_shown: bool
    online_payment: bool
    methods: tuple[AcceptedMethod, ...]
    contact: Contact
    accent: str
    tax_rates: tuple[TaxRateShape, ...]
    version: int


class BillingAddress(Question, frozen=True, kw_only=True):
    lines: tuple[str, ...] = ()
    postcode: str = ""
    city: str = ""
    country: str = ""


class ClientIn(Question, frozen=True, kw_only=True):
    name: str
    billing_address: BillingAddress | None = None


class ClientOut(Answer, frozen=True, kw_only=True):
    id: UUID
    name: str
    billing_address: BillingAddress


class AppointmentIn(Question, frozen=True, kw_only=True):
    """When and where the service was given; `starts_at` carries its offset from UTC."""

    starts_at: datetime
    place: str = ""


class LineIn(Question, frozen=True, kw_only=True):
    """`unit_price` is without tax. `quantity` is a decimal text above 0 with up to three places."""

    service: str
    practitioner: str = ""
    appointment: AppointmentIn | None = None
    quantity: str = "1"
    unit_price: Money
    tax_code: str


class InvoiceIn(Question, frozen=True, kw_only=True):
    """An invoice to issue. Without `currency` the clinic's, without `issued_on` today at the clinic."""

    client_id: UUID
    due_on: date
    lines: tuple[LineIn, ...]
    currency: str | None = None
    issued_on: date | None = None
    note: str = ""


class InvoicesIn(Question, frozen=True, kw_only=True):
    """A set of invoices to issue together: all of them or none."""

    invoices: Annotated[tuple[InvoiceIn, ...], msgspec.Meta(min_length=1, max_length=100)]


class PaidWith(Answer, frozen=True, kw_only=True):
    """How the newest payment was made: Stripe's method type, and a card's brand and last four digits."""

    kind: str
    brand: str | None = None
    last4: str | None = None


class InvoiceRow(Answer, frozen=True, kw_only=True):
    """An invoice in Billing History.

    `due` is 0 once paid, refunded or void. `methods` is what the clinic takes for it online: empty when
    nothing is to be paid now, online payment is off, or none of its ways can take the amount. `online_charge` says
    whether what is due can be charged online at all, whatever the clinic takes; null when nothing is due.
    `service_summary` names the first service. While it is `being_checked`, a movement of money could not be applied to
    it yet: nobody is to be asked to pay it.
    """

    id: UUID
    client_id: UUID
    number: str
    status: InvoiceStatus
    issued_on: date
    due_on: date
    currency: str
    total: Money
    settled: Money
    due: Money
    overdue: bool
    methods: tuple[AcceptedMethod, ...]
    paid_with: PaidWith | None
    service_summary: str
    version: int
    online_charge: Charge | None = None
    being_checked: bool = False


class InvoicesOut(Answer, frozen=True, kw_only=True):
    """Invoices that were issued together, in the order in which they were asked for."""

    invoices: list[InvoiceRow]


class Tax(Answer, frozen=True, kw_only=True):
    code: str
    name: str
    percent: str
    base: Money
    tax: Money


class Appointment(Answer, frozen=True, kw_only=True):
    starts_at: datetime
    place: str


class LineOut(Answer, frozen=True, kw_only=True):
    position: int
    service: str
    practitioner: str
    appointment: Appointment | None
    quantity: str
    unit_price: Money
    net: Money
    tax_code: str
    tax_percent: str
    tax: Money
    gross: Money


class MovementOut(Answer, frozen=True, kw_only=True):
    """Booked money: positive towards the clinic."""

    id: UUID
    kind: MovementKind
    amount: Money
    method: PaidWith | None
    booked_at: datetime
    payment_id: UUID


class InvoiceOut(InvoiceRow, frozen=True, kw_only=True):
    """An invoice whole. The lines' nets sum to `subtotal`, their taxes to the sum of `taxes`.

    Both and `rounding` sum to `total`; it is null unless the currency's smallest charge made rounding necessary.
    """

    subtotal: Money
    taxes: list[Tax]
    lines: list[LineOut]
    movements: list[MovementOut]
    processing: bool
    note: str
    rounding: Money | None = None


class Summary(Answer, frozen=True, kw_only=True):
    """What a client's dashboard shows. What is on its way or being checked counts neither as due nor as unpaid."""

    due: list[Money]
    unpaid_count: int
    overdue_count: int
    checked_count: int
    next: InvoiceRow | None
    last_paid: InvoiceRow | None
