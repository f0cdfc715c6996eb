"""Bodies of the public API about clinics, with the limits that it promises."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from contracts.http.clinics import DEFAULT_ACCENT, ClinicIn, ClinicOut, TaxRate
from contracts.http.common import Currency, Request
from contracts.vocabulary import AcceptedMethod
from services.gateway.api.schemas import Decimals, ShortText

Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]


Accent = Annotated[str, msgspec.Meta(pattern=r"^#[0-9a-fA-F]{6}$")]


class NewTaxRate(TaxRate, frozen=True, kw_only=True):
    """`percent` is a decimal text with up to three places, "0" to "100"."""

    percent: Decimals


TaxRates = Annotated[list[NewTaxRate], msgspec.Meta(max_length=50)]


class NewClinic(ClinicIn, frozen=True, kw_only=True):
    """All settings of a clinic: one that is left out takes its default."""

    slug: Slug
    name: ShortText
    currency: Currency
    accent: Accent = DEFAULT_ACCENT
    tax_rates: TaxRates = msgspec.field(default_factory=list)


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


class ClinicAnswer(ClinicOut, frozen=True, kw_only=True):
    """The settings, and the Stripe account, which `PUT /clinics/{id}/stripe-account` chooses."""

    stripe_account_id: str | None = None
    platform_account: bool = False
