"""Clinics and clients, as the invoice service keeps them, and contacts, as notification does."""

from typing import Annotated
from uuid import UUID

import msgspec

from contracts.vocabulary import AcceptedMethod
from services.gateway.shapes.common import Currency, Decimals, Question, ShortText

Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
Accent = Annotated[str, msgspec.Meta(pattern=r"^#[0-9a-fA-F]{6}$")]
AddressLines = Annotated[list[str], msgspec.Meta(max_length=5)]


class ClinicContact(msgspec.Struct):
    """How a client reaches the clinic; every field may be empty."""

    phone: str = ""
    email: str = ""
    address: str = ""
    hours: str = ""


class ClinicContactIn(ClinicContact, forbid_unknown_fields=True):
    pass


class TaxRate(msgspec.Struct):
    code: str
    name: str
    percent: Decimals


class TaxRateIn(TaxRate, forbid_unknown_fields=True):
    pass


TaxRates = Annotated[list[TaxRateIn], msgspec.Meta(max_length=50)]


class ClinicIn(Question):
    """A clinic's settings, whole: what is left out takes its default."""

    slug: Slug
    name: ShortText
    currency: Currency
    time_zone: str
    locale: str = "en-IE"
    billing_shown: bool = True
    online_payment: bool = True
    methods: list[AcceptedMethod] = msgspec.field(default_factory=lambda: ["card", "redirect"])
    contact: ClinicContactIn = msgspec.field(default_factory=ClinicContactIn)
    accent: Accent = "#0b6e6e"
    tax_rates: TaxRates = msgspec.field(default_factory=list)


class Clinic(msgspec.Struct):
    id: UUID
    slug: str
    name: str
    currency: Currency
    time_zone: str
    locale: str
    billing_shown: bool
    online_payment: bool
    methods: list[str]
    contact: ClinicContact
    accent: str
    tax_rates: list[TaxRate] = []
    version: int = 1


class BillingAddress(msgspec.Struct):
    lines: AddressLines = []
    postcode: str = ""
    city: str = ""
    country: str = ""


class BillingAddressIn(BillingAddress, forbid_unknown_fields=True):
    pass


class ClientIn(Question):
    name: ShortText
    billing_address: BillingAddressIn | None = None


class Client(msgspec.Struct):
    id: UUID
    name: str
    billing_address: BillingAddress | None = None


class ContactIn(Question):
    email: str
    name: ShortText
    language: str = "en"


class Contact(msgspec.Struct):
    email: str
    name: str
    language: str = "en"
