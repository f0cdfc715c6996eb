"""Invoices: bodies of the invoice service."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from contracts.currencies import Charge
from contracts.http.clients import BillingAddress
from contracts.http.common import Answer, Currency, Money, PaidWith, Request
from contracts.vocabulary import AcceptedMethod, InvoiceStatus, MovementKind


class AppointmentIn(Request, frozen=True, kw_only=True):
    """When and where the service was given; `starts_at` carries its offset from UTC."""

    starts_at: datetime
    place: str = ""


class LineIn(Request, frozen=True, kw_only=True):
    """A line to invoice. `unit_price` is without tax. `quantity` is a decimal text above 0 with up to three places."""

    service: str
    practitioner: str = ""
    unit_price: Money
    tax_code: str
    quantity: str = "1"
    appointment: AppointmentIn | None = None


class InvoiceIn(Request, frozen=True, kw_only=True):
    """An invoice to issue. Without `currency` the clinic's, without `issued_on` today at the clinic."""

    client_id: UUID
    due_on: date
    lines: Sequence[LineIn]
    currency: str | UnsetType | None = UNSET
    issued_on: date | UnsetType | None = UNSET
    note: str | UnsetType = UNSET


class InvoicesIn(Request, frozen=True, kw_only=True):
    """A set of invoices to issue together: all of them or none."""

    invoices: Annotated[Sequence[InvoiceIn], Meta(min_length=1, max_length=100)]


class InvoiceItem(Answer, frozen=True, kw_only=True):
    """An invoice as lists show it.

    `due` is 0 once paid, refunded or void. `methods` are the ways to pay it online now: empty when nothing is due,
    online payment is off, the clinic's Stripe account cannot charge, or no accepted way can charge the amount.
    `online_charge` tells whether the amount due can be charged online at all, whatever the clinic accepts; null when
    nothing is due. `service_summary` names the first service. While it is `being_checked`, a movement of money could
    not be applied to it yet: do not ask anybody to pay it. `updated_at` is when its amounts, its status or
    `being_checked` last changed.
    `locale` and `time_zone` are the clinic's when it was issued: the document writes its sums and days by them.
    """

    id: UUID
    number: str
    status: InvoiceStatus
    issued_on: date
    due_on: date
    currency: Currency
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
    updated_at: datetime | None = None
    locale: str = ""
    time_zone: str = ""


class InvoiceRow(InvoiceItem, frozen=True, kw_only=True):
    """An invoice as lists show it, with its client."""

    client_id: UUID


class InvoicesOut(Answer, frozen=True, kw_only=True):
    """Invoices that were issued together, in the order of the request."""

    invoices: list[InvoiceRow]


class InvoiceTax(Answer, frozen=True, kw_only=True):
    """One tax of an invoice: the sum that it is charged on, and the tax."""

    code: str
    name: str
    percent: str
    base: Money
    tax: Money


class Appointment(Answer, frozen=True, kw_only=True):
    """When and where the service was given."""

    starts_at: datetime
    place: str


class LineOut(Answer, frozen=True, kw_only=True):
    """A line of an invoice. `position` counts from 1."""

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


class Seller(Answer, frozen=True, kw_only=True):
    """The clinic as it was when the invoice was issued. Only the name is never empty."""

    name: str
    address: str = ""
    phone: str = ""
    email: str = ""


class BillTo(Answer, frozen=True, kw_only=True):
    """The client as they were when the invoice was issued; once `erased`, the name is empty."""

    name: str
    billing_address: BillingAddress
    erased: bool = False


class MovementOut(Answer, frozen=True, kw_only=True):
    """Booked money: positive towards the clinic. A payment's day is `captured_at`, if that is known."""

    id: UUID
    kind: MovementKind
    amount: Money
    method: PaidWith | None
    booked_at: datetime
    payment_id: UUID
    captured_at: datetime | None = None


class InvoiceOut(InvoiceRow, frozen=True, kw_only=True):
    """An invoice with its lines. The lines' net amounts sum to `subtotal`, their taxes to the sum of `taxes`.

    Both and `rounding` sum to `total`; it is null unless the currency's smallest charge made rounding necessary.
    `seller` and `bill_to` stay as they were when it was issued.
    """

    subtotal: Money
    taxes: list[InvoiceTax]
    lines: list[LineOut]
    movements: list[MovementOut]
    processing: bool
    note: str
    rounding: Money | None = None
    seller: Seller | None = None
    bill_to: BillTo | None = None


class Summary(Answer, frozen=True, kw_only=True):
    """A client's dashboard: the sums due, one for each currency; `next` is the invoice to pay first.

    An invoice whose payment is processing, or that is being checked, counts neither as due nor as unpaid.
    """

    due: list[Money]
    unpaid_count: int
    overdue_count: int
    checked_count: int = 0
    next: InvoiceRow | None
    last_paid: InvoiceRow | None
