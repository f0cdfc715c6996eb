"""Invoices, as the invoice service takes and shows them."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec

from contracts.currencies import Charge
from contracts.vocabulary import InvoiceStatus
from services.gateway.shapes.common import Currency, Decimals, MethodRef, Money, Question, ShortText


class Appointment(msgspec.Struct):
    starts_at: datetime
    place: str = ""


class AppointmentIn(Appointment, forbid_unknown_fields=True):
    pass


class LineIn(Question):
    service: ShortText
    practitioner: str
    unit_price: Money
    tax_code: str
    quantity: Decimals = "1"
    appointment: AppointmentIn | None = None


class InvoiceIn(Question):
    client_id: UUID
    due_on: date
    lines: Annotated[list[LineIn], msgspec.Meta(min_length=1, max_length=200)]
    currency: Currency | msgspec.UnsetType = msgspec.UNSET
    issued_on: date | msgspec.UnsetType = msgspec.UNSET
    note: Annotated[str, msgspec.Meta(max_length=2000)] | msgspec.UnsetType = msgspec.UNSET


class InvoicesIn(Question):
    """Invoices to issue together: all of them or none."""

    invoices: Annotated[list[InvoiceIn], msgspec.Meta(min_length=1, max_length=100)]


class InvoiceRow(msgspec.Struct, kw_only=True):
    """An invoice as lists show it. `methods` are the kinds by which it can be paid online now.

    `online_charge` says whether what is due can be charged online at all, whatever the clinic accepts; null when
    nothing is due. While it is `being_checked`, a movement of money could not be applied to it yet: ask nobody to
    pay it.
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
    methods: list[str] = []
    paid_with: MethodRef | None = None
    service_summary: str | None = None
    version: int = 0
    online_charge: Charge | None = None
    being_checked: bool = False


class InvoiceTax(msgspec.Struct):
    code: str
    name: str
    percent: str
    base: Money
    tax: Money


class InvoiceLine(msgspec.Struct, kw_only=True):
    position: int
    service: str
    practitioner: str
    appointment: Appointment | None = None
    quantity: str
    unit_price: Money
    net: Money
    tax_code: str
    tax_percent: str
    tax: Money
    gross: Money


class Movement(msgspec.Struct, kw_only=True):
    """Money that moved against the invoice; positive is towards the clinic."""

    id: UUID
    kind: str
    amount: Money
    method: MethodRef | None = None
    booked_at: datetime
    payment_id: UUID | None = None


class InvoiceOut(InvoiceRow, kw_only=True):
    client_id: UUID
    subtotal: Money
    taxes: list[InvoiceTax]
    lines: list[InvoiceLine]
    movements: list[Movement]
    processing: bool = False
    note: str | None = None
    rounding: Money | None = None
    """What rounding to the currency's smallest charge added to the total; null for most currencies."""


class IssuedRow(InvoiceRow, kw_only=True):
    client_id: UUID


class InvoicesOut(msgspec.Struct):
    """The invoices, in the order in which they were asked for."""

    invoices: list[IssuedRow]


class Summary(msgspec.Struct, kw_only=True):
    """What a client owes; one sum a currency. `next` is the invoice to pay first."""

    due: list[Money]
    unpaid_count: int
    overdue_count: int
    checked_count: int = 0
    next: InvoiceRow | None = None
    last_paid: InvoiceRow | None = None
