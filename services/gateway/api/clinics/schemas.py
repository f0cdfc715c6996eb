"""Bodies of the public API about clinics, with the limits that it promises."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from contracts.http.clinics import DEFAULT_ACCENT, ClinicIn, ClinicOut, NumberStart, TaxRate
from contracts.http.common import Currency, Request
from contracts.vocabulary import (
    EARLIEST_REMINDER,
    LATEST_REMINDER,
    MOST_REMINDERS,
    MOST_UNDO_HOURS,
    AcceptedMethod,
    PriceMode,
)
from services.gateway.api.schemas import AddressPatch, Decimals, GivenId, NewAddress, ShortText, TaxNumber

Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]


Accent = Annotated[str, msgspec.Meta(pattern=r"^#[0-9a-fA-F]{6}$")]


NumberPrefix = Annotated[str, msgspec.Meta(pattern=r"^([A-Z][A-Z0-9/-]{0,9})?$(?!\n)")]


class NewTaxRate(TaxRate, frozen=True, kw_only=True):
    """`percent` is a decimal text with up to three places, "0" to "100".

    `category` is S above 0, else Z unless it is E (exempt), AE (the buyer owes it) or O (not subject to it): these
    need a reason, as `exemption_code` (VATEX) or `exemption_text`.
    """

    percent: Decimals


TaxRates = Annotated[list[NewTaxRate], msgspec.Meta(max_length=50)]


LeastPart = Annotated[
    int,
    msgspec.Meta(
        ge=1,
        description="The smallest part of an invoice that a client may pay, in minor units of the clinic's `currency`."
        " Null: no parts.",
    ),
]


UndoHours = Annotated[
    int,
    msgspec.Meta(
        ge=0,
        le=MOST_UNDO_HOURS,
        description="How long voids, credit notes, write-offs and refunds are held and can be undone. 0: not held.",
    ),
]


Reminders = Annotated[
    tuple[Annotated[int, msgspec.Meta(ge=EARLIEST_REMINDER, le=LATEST_REMINDER)], ...],
    msgspec.Meta(
        max_length=MOST_REMINDERS,
        description="The days on which clients are reminded by e-mail of an unpaid invoice, counted from its due date,"
        f" each from {EARLIEST_REMINDER} to {LATEST_REMINDER}:"
        " [-3, 1, 7, 14] is three days before it, and one, seven and fourteen days after it. Empty: no reminders.",
    ),
]


class NewClinic(ClinicIn, frozen=True, kw_only=True):
    """All settings of a clinic: one that is left out takes its default."""

    slug: Slug
    name: ShortText
    currency: Currency
    accent: Accent = DEFAULT_ACCENT
    tax_number: TaxNumber = ""
    postal_address: NewAddress = msgspec.field(default_factory=NewAddress)
    external_id: GivenId | None = None
    number_prefix: NumberPrefix = ""
    tax_rates: TaxRates = msgspec.field(default_factory=list)
    least_part: LeastPart | None = None
    undo_hours: UndoHours = 0
    reminders: Reminders = ()


class ClinicSettings(NewClinic, frozen=True, kw_only=True):
    """All settings of a clinic. Settings about money are required, so that none is reset by being left out."""

    billing_shown: bool
    online_payment: bool
    methods: tuple[AcceptedMethod, ...]
    tax_rates: TaxRates


class ContactPatch(Request, frozen=True, kw_only=True):
    phone: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    address: str | UnsetType | None = UNSET
    hours: str | UnsetType | None = UNSET


class ClinicPatch(Request, frozen=True, kw_only=True):
    """Settings to change. Null resets a setting to its default, and is refused where there is none."""

    slug: Slug | UnsetType = UNSET
    name: ShortText | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    locale: str | UnsetType | None = UNSET
    billing_shown: bool | UnsetType | None = UNSET
    online_payment: bool | UnsetType | None = UNSET
    methods: tuple[AcceptedMethod, ...] | UnsetType | None = UNSET
    contact: ContactPatch | UnsetType | None = UNSET
    accent: Accent | UnsetType | None = UNSET
    tax_rates: TaxRates | UnsetType | None = UNSET
    least_part: LeastPart | UnsetType | None = UNSET
    deposits: bool | UnsetType | None = UNSET
    pay_links: bool | UnsetType | None = UNSET
    lost_dispute_reopens: bool | UnsetType | None = UNSET
    undo_hours: UndoHours | UnsetType | None = UNSET
    reminders: Reminders | UnsetType | None = UNSET
    amounts_in_subjects: bool | UnsetType | None = UNSET
    attach_documents: bool | UnsetType | None = UNSET
    prices: PriceMode | UnsetType | None = UNSET
    tax_number: TaxNumber | UnsetType | None = UNSET
    postal_address: AddressPatch | UnsetType | None = UNSET
    e_invoices: bool | UnsetType | None = UNSET
    external_id: GivenId | UnsetType | None = UNSET
    metadata: dict[str, str | None] | UnsetType | None = UNSET
    number_prefix: NumberPrefix | UnsetType | None = UNSET
    number_start: NumberStart | UnsetType | None = UNSET


class ClinicAnswer(ClinicOut, frozen=True, kw_only=True):
    """The settings, and the Stripe account, which `PUT /clinics/{id}/stripe-account` chooses."""

    stripe_account_id: str | None = None
    platform_account: bool = False
