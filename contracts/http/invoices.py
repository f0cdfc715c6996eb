"""Invoices: bodies of the invoice service."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType, field

from contracts.currencies import Charge
from contracts.http.clients import BillingAddress
from contracts.http.common import Answer, Currency, Metadata, Money, PaidWith, Request
from contracts.vocabulary import (
    AcceptedMethod,
    DocumentKind,
    DocumentReason,
    EInvoiceGap,
    InvoiceStatus,
    MovementKind,
    PriceMode,
    TaxCategory,
)

LONGEST_SEARCH = 100
"""Of the words by which a client's invoices are found, in characters."""


class AppointmentIn(Request, frozen=True, kw_only=True):
    """When and where the service was given; `starts_at` carries its offset from UTC."""

    starts_at: datetime
    place: str = ""


class DiscountIn(Request, frozen=True, kw_only=True):
    """Takes an `amount` off, or a `percent` ("0" to "100"): one of both. `reason` is shown on the document."""

    amount: Money | UnsetType = UNSET
    percent: str | UnsetType = UNSET
    reason: str = ""


class LineIn(Request, frozen=True, kw_only=True):
    """A line to invoice. `unit_price` is from 0, with or without tax as `prices` of the invoice says.

    `quantity` is a decimal text with up to three places; a negative one takes off. A line has `tax_code`, or
    `tax_codes` with the codes of two taxes on the same amount, such as GST and PST.
    """

    service: str
    practitioner: str = ""
    unit_price: Money
    tax_code: str | UnsetType = UNSET
    quantity: str = "1"
    appointment: AppointmentIn | None = None
    tax_codes: Sequence[str] | UnsetType = UNSET
    discount: DiscountIn | UnsetType = UNSET


class InvoiceIn(Request, frozen=True, kw_only=True):
    """An invoice to issue. Without `currency` or `prices` the clinic's, without `issued_on` today at the clinic.

    `discount` takes off the sum of the lines, in proportion: each tax is less by its part. A total of zero is paid.
    `insurer_reference` and `location` are shown on it. `external_id` is another program's id, unique at the clinic.
    """

    client_id: UUID
    due_on: date
    lines: Sequence[LineIn]
    currency: str | UnsetType | None = UNSET
    issued_on: date | UnsetType | None = UNSET
    note: str | UnsetType = UNSET
    prices: PriceMode | UnsetType = UNSET
    discount: DiscountIn | UnsetType = UNSET
    insurer_reference: str | UnsetType = UNSET
    location: str | UnsetType = UNSET
    external_id: str | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


class InvoicesIn(Request, frozen=True, kw_only=True):
    """A set of invoices to issue together: all of them or none."""

    invoices: Annotated[Sequence[InvoiceIn], Meta(min_length=1, max_length=100)]


class InvoiceItem(Answer, frozen=True, kw_only=True):
    """An invoice as lists show it.

    `total` less `credited`, `written_off` and `settled` is `due`, which is never below 0; a refund does not raise it.
    `credited` is what credit notes took off, `refunded` what went back to the client; all three are null for nothing.
    `methods` are the ways to pay it online now: empty when nothing is due,
    online payment is off, the clinic's Stripe account cannot charge, or no accepted way can charge the amount.
    `online_charge` tells whether the amount due can be charged online at all, whatever the clinic accepts; null when
    nothing is due. `service_summary` names the first service. While it is `being_checked`, a movement of money could
    not be applied to it yet: do not ask anybody to pay it. `updated_at` is when its amounts, its status,
    `being_checked` or its pay links last changed.
    `locale` and `time_zone` are the clinic's when it was issued: the document writes its sums and days by them.
    `paid_with` is the method of the newest payment, and `credit` where only the client's credit paid; `paid_at` is when
    that payment was made. Both are null before the first.
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
    external_id: str | None = None
    credited: Money | None = None
    written_off: Money | None = None
    refunded: Money | None = None
    paid_at: datetime | None = None


class InvoiceRow(InvoiceItem, frozen=True, kw_only=True):
    """An invoice as lists show it, with its client."""

    client_id: UUID


class InvoicesOut(Answer, frozen=True, kw_only=True):
    """Invoices that were issued together, in the order of the request."""

    invoices: list[InvoiceRow]


class InvoiceTax(Answer, frozen=True, kw_only=True):
    """One tax of an invoice: the sum that it is charged on, and the tax. The exemption is why it is not charged."""

    code: str
    name: str
    percent: str
    base: Money
    tax: Money
    category: TaxCategory | None = None
    exemption_code: str = ""
    exemption_text: str = ""


class LineTax(Answer, frozen=True, kw_only=True):
    """One tax of a line."""

    code: str
    name: str
    percent: str
    category: TaxCategory
    tax: Money


class DiscountOut(Answer, frozen=True, kw_only=True):
    """The amount that a discount took off; `percent` is null for one that was given as an amount."""

    amount: Money
    percent: str | None
    reason: str


class Appointment(Answer, frozen=True, kw_only=True):
    """When and where the service was given."""

    starts_at: datetime
    place: str


class LineOut(Answer, frozen=True, kw_only=True):
    """A line of an invoice. `position` counts from 1.

    `amount` is quantity x price less the line's `discount`, in the invoice's prices. `invoice_discount` is its share of
    the invoice's discount: `net`, `tax` and `gross` are after both. `tax_code` and `tax_percent` are the first of
    `taxes`, `tax` is the sum of them.
    """

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
    amount: Money | None = None
    discount: DiscountOut | None = None
    invoice_discount: Money | None = None
    taxes: list[LineTax] = field(default_factory=list)


class EInvoice(Answer, frozen=True, kw_only=True):
    """Whether a document is an e-invoice (EN 16931) too: its PDF holds the XML then. `missing` says why it is none."""

    available: bool
    missing: tuple[EInvoiceGap, ...] = ()


class Seller(Answer, frozen=True, kw_only=True):
    """The clinic as it was when the invoice was issued. Only the name is never empty.

    `e_invoices`: it issued e-invoices then.
    """

    name: str
    address: str = ""
    phone: str = ""
    email: str = ""
    tax_number: str = ""
    postal_address: BillingAddress = field(default_factory=BillingAddress)
    e_invoices: bool = False


class BillTo(Answer, frozen=True, kw_only=True):
    """The client as they were when the invoice was issued; once `erased`, all of it is empty."""

    name: str
    billing_address: BillingAddress
    erased: bool = False
    tax_number: str = ""


class MovementOut(Answer, frozen=True, kw_only=True):
    """Booked money: positive towards the clinic. A payment's day is `captured_at`, if that is known."""

    id: UUID
    kind: MovementKind
    amount: Money
    method: PaidWith | None
    booked_at: datetime
    payment_id: UUID
    captured_at: datetime | None = None


class DocumentLine(Answer, frozen=True, kw_only=True):
    """A line of the invoice, or a part of its quantity, that a credit note takes off."""

    position: int
    service: str
    quantity: str
    net: Money
    tax: Money


class InvoiceLink(Answer, frozen=True, kw_only=True):
    """Another invoice of the clinic."""

    id: UUID
    number: str


class DocumentOut(Answer, frozen=True, kw_only=True):
    """A correction of an invoice: a credit note with a number of its own, a write-off, or its cancellation.

    All amounts are above 0, and are taken off the invoice. `net`, `tax` and `rounding` sum to `total`. `lines` are
    named by a credit note that was made of lines, else empty. `seller`, `locale` and `time_zone` are the clinic's when
    it was made. `new_invoice` replaces the invoice, in a correction. `e_invoice` is of a credit note that is read with
    its invoice, and null where the clinic issued none then.
    """

    id: UUID
    invoice_id: UUID
    kind: DocumentKind
    number: str | None
    reason: DocumentReason
    explanation: str
    issued_on: date
    net: Money
    tax: Money
    total: Money
    taxes: list[InvoiceTax]
    lines: list[DocumentLine]
    seller: Seller
    locale: str
    time_zone: str
    rounding: Money | None = None
    new_invoice: InvoiceLink | None = None
    e_invoice: EInvoice | None = None


class InvoiceOut(InvoiceRow, frozen=True, kw_only=True):
    """An invoice with its lines. The lines' net amounts sum to `subtotal`, their taxes to the sum of `taxes`.

    Both and `rounding` sum to `total`; it is null unless the currency's smallest charge made rounding necessary.
    `prices` says whether the lines' prices, amounts and discounts are without tax (`net`) or include it (`gross`).
    `seller` and `bill_to` stay as they were when it was issued. `documents` corrected it, oldest first; `corrects` is
    the invoice that it replaces. Pay links of a generation before `pay_link_generation` have ended.
    """

    subtotal: Money
    taxes: list[InvoiceTax]
    lines: list[LineOut]
    movements: list[MovementOut]
    processing: bool
    note: str
    rounding: Money | None = None
    prices: PriceMode = "net"
    discount: DiscountOut | None = None
    insurer_reference: str = ""
    location: str = ""
    metadata: Metadata = field(default_factory=dict)
    seller: Seller | None = None
    bill_to: BillTo | None = None
    documents: tuple[DocumentOut, ...] = ()
    corrects: InvoiceLink | None = None
    pay_link_generation: int = 0
    e_invoice: EInvoice | None = None
    """Null where the clinic issued no e-invoices when it issued this invoice."""


class PayLinkOut(Answer, frozen=True, kw_only=True):
    """The generation of an invoice's pay links: older ones have ended."""

    invoice_id: UUID
    generation: int


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
