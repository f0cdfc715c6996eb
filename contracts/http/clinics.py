"""Clinics and their billing settings: bodies of the invoice service."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import field

from contracts.http.clients import BillingAddress
from contracts.http.common import Answer, Currency, Metadata, Request
from contracts.vocabulary import AcceptedMethod, PriceMode, TaxCategory

DEFAULT_ACCENT = "#0b6e6e"


class TaxRate(Request, frozen=True, kw_only=True):
    """`percent` is a decimal text with up to three places, "0" to "100".

    `category` is S above 0, else Z unless it is E (exempt), AE (the buyer owes it) or O (not subject to it): these
    need a reason, as `exemption_code` (VATEX) or `exemption_text`.
    """

    code: str
    name: str
    percent: str
    category: TaxCategory | None = None
    exemption_code: str = ""
    exemption_text: str = ""


class ClinicContact(Request, frozen=True, kw_only=True):
    """How clients reach the clinic; every field may be empty."""

    phone: str = ""
    email: str = ""
    address: str = ""
    hours: str = ""


class NumberStart(Request, frozen=True, kw_only=True):
    """The number of the first invoice of this year; following years begin with 1."""

    year: int
    number: int


class ClinicIn(Request, frozen=True, kw_only=True):
    """A clinic and its billing settings, whole: a setting that is left out takes its default.

    `prices` is for invoices that do not say whether their prices are without tax. `tax_number` is shown on invoices.
    `external_id` is another program's id of the clinic: no two clinics have the same. Invoices are numbered
    `number_prefix`, year and count: `A-2026-000001`; `number_start` continues a count that was begun elsewhere.
    """

    slug: str
    name: str
    currency: str
    time_zone: str
    locale: str = "en-IE"
    billing_shown: bool = True
    online_payment: bool = True
    methods: tuple[AcceptedMethod, ...] = ("card", "redirect")
    contact: ClinicContact = field(default_factory=ClinicContact)
    accent: str = DEFAULT_ACCENT
    tax_rates: Sequence[TaxRate] = ()
    least_part: int | None = None
    """The smallest part of an invoice that a client may pay, in minor units of `currency`; null: no parts."""
    deposits: bool = False
    """Whether clients may pay before there is an invoice."""
    pay_links: bool = True
    """Whether e-mails lead to a page that takes a payment without a login."""
    lost_dispute_reopens: bool = False
    undo_hours: int = 0
    """How long corrections and refunds are held and can be undone, to `MOST_UNDO_HOURS`; 0: they are done at once."""
    reminders: tuple[int, ...] = ()
    """The days, counted from the due date, on which clients are reminded of an unpaid invoice; none: never."""
    amounts_in_subjects: bool = False
    """Whether the subjects of e-mails to clients say sums: lock screens show them."""
    attach_documents: bool = False
    """Whether e-mails about a new invoice, a payment and a credit note carry the document as PDF."""
    prices: PriceMode = "net"
    tax_number: str = ""
    postal_address: BillingAddress = field(default_factory=BillingAddress)
    """The seller's address in parts, on e-invoices. `contact.address` is the one for people."""
    e_invoices: bool = False
    """Whether invoices and credit notes are e-invoices (EN 16931) too. Needs `tax_number` and `postal_address`."""
    external_id: str | None = None
    metadata: Metadata = field(default_factory=dict)
    number_prefix: str = ""
    number_start: NumberStart | None = None


class ClinicOut(Answer, frozen=True, kw_only=True):
    """A clinic and its billing settings. `version` counts its changes, as `clinic.updated` does."""

    id: UUID
    slug: str
    name: str
    currency: Currency
    time_zone: str
    locale: str
    billing_shown: bool
    online_payment: bool
    methods: tuple[AcceptedMethod, ...]
    contact: ClinicContact
    accent: str
    tax_rates: tuple[TaxRate, ...]
    version: int
    least_part: int | None = None
    deposits: bool = False
    pay_links: bool = True
    lost_dispute_reopens: bool = False
    undo_hours: int = 0
    reminders: tuple[int, ...] = ()
    amounts_in_subjects: bool = False
    attach_documents: bool = False
    prices: PriceMode = "net"
    tax_number: str = ""
    postal_address: BillingAddress = field(default_factory=BillingAddress)
    e_invoices: bool = False
    external_id: str | None = None
    metadata: Metadata = field(default_factory=dict)
    number_prefix: str = ""
    number_start: NumberStart | None = None
