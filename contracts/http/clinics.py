"""Clinics and their billing settings: bodies of the invoice service."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import field

from contracts.http.common import Answer, Currency, Request
from contracts.vocabulary import AcceptedMethod

DEFAULT_ACCENT = "#0b6e6e"


class TaxRate(Request, frozen=True, kw_only=True):
    """`percent` is a decimal text with up to three places, "0" to "100"."""

    code: str
    name: str
    percent: str


class ClinicContact(Request, frozen=True, kw_only=True):
    """How clients reach the clinic; every field may be empty."""

    phone: str = ""
    email: str = ""
    address: str = ""
    hours: str = ""


class ClinicIn(Request, frozen=True, kw_only=True):
    """A clinic and its billing settings, whole: a setting that is left out takes its default."""

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
