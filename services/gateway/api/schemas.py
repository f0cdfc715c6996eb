"""Bodies of the public API: its promise to integrators. A body without limits of its own comes from `contracts.http`.

Where a service refuses a value under a code of its own (422), the public API promises the limit, and refuses it as
`request_invalid` (400): such a body names those fields again, with the limit.
"""

from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import HeaderParameter, QueryParameter
from msgspec import UNSET, UnsetType

from contracts.http.clients import BillingAddress, ClientOut
from contracts.http.clinics import DEFAULT_ACCENT, ClinicIn, ClinicOut, TaxRate
from contracts.http.common import Currency, Request
from contracts.http.contacts import LanguageCode
from contracts.http.invoices import InvoiceIn, InvoicesIn, LineIn
from contracts.vocabulary import AcceptedMethod
from services.gateway.accounts.passwords import LONGEST, SHORTEST

IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Sent again with the same body, the request has the same effect and answer.",
    ),
]
Password = Annotated[str, msgspec.Meta(min_length=SHORTEST, max_length=LONGEST)]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
Cursor = Annotated[str | None, QueryParameter(max_length=500)]

ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Decimals = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$")]
Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
Accent = Annotated[str, msgspec.Meta(pattern=r"^#[0-9a-fA-F]{6}$")]
Note = Annotated[str, msgspec.Meta(max_length=2000)]


class NewTaxRate(TaxRate, frozen=True, kw_only=True):
    """`percent` is a decimal text with up to three places, "0" to "100"."""

    percent: Decimals


TaxRates = Annotated[list[NewTaxRate], msgspec.Meta(max_length=50)]


class NewClinic(ClinicIn, frozen=True, kw_only=True):
    """A clinic's settings, whole: what is left out takes its default."""

    slug: Slug
    name: ShortText
    currency: Currency
    accent: Accent = DEFAULT_ACCENT
    tax_rates: TaxRates = msgspec.field(default_factory=list)


class ClinicSettings(NewClinic, frozen=True, kw_only=True):
    """A clinic's settings, whole. Those that are about money must be there: none is set back by being forgotten."""

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
    """Settings to change. Null sets back to the default, and is refused where there is none."""

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
    """The settings, and the choice of a Stripe account: `PUT /clinics/{id}/stripe-account` makes it."""

    stripe_account_id: str | None = None
    platform_account: bool = False


class LoginIn(Request, frozen=True, kw_only=True):
    """A login for the client's e-mail. One that exists keeps its password and opens this clinic too."""

    password: Password


AddressLines = Annotated[list[str], msgspec.Meta(max_length=5)]


class NewAddress(BillingAddress, frozen=True, kw_only=True):
    """Every field may be empty; `country` is an ISO 3166 code of two letters."""

    lines: AddressLines = msgspec.field(default_factory=list)  # type: ignore[assignment]


class NewClient(Request, frozen=True, kw_only=True):
    """A client, the contact for e-mails, and if wanted a login to the portal."""

    name: ShortText
    email: str
    language: LanguageCode = "en"
    billing_address: NewAddress | None = None
    login: LoginIn | None = None


class AddressPatch(Request, frozen=True, kw_only=True):
    lines: AddressLines | UnsetType | None = UNSET
    postcode: str | UnsetType | None = UNSET
    city: str | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET


class ClientPatch(Request, frozen=True, kw_only=True):
    """What to change. Null sets back to the default, and is refused where there is none."""

    name: ShortText | UnsetType = UNSET
    email: str | UnsetType = UNSET
    language: str | UnsetType | None = UNSET
    billing_address: AddressPatch | UnsetType | None = UNSET


class ClientAnswer(ClientOut, frozen=True, kw_only=True):
    email: str | None = None
    language: str | None = None


class NewLine(LineIn, frozen=True, kw_only=True):
    """`unit_price` is without tax. `quantity` is a decimal text above 0 with up to three places."""

    service: ShortText
    practitioner: str
    quantity: Decimals = "1"


class NewInvoice(InvoiceIn, frozen=True, kw_only=True):
    """An invoice to issue. Without `currency` the clinic's, without `issued_on` today at the clinic."""

    lines: Annotated[list[NewLine], msgspec.Meta(min_length=1, max_length=200)]
    currency: Currency | UnsetType = UNSET
    issued_on: date | UnsetType = UNSET
    note: Note | UnsetType = UNSET


class NewInvoices(InvoicesIn, frozen=True, kw_only=True):
    """Invoices to issue together: all of them or none."""

    invoices: Annotated[list[NewInvoice], msgspec.Meta(min_length=1, max_length=100)]


class NewStaff(Request, frozen=True, kw_only=True):
    email: str
    password: Password


class Staff(msgspec.Struct):
    email: str
    role: str = "staff"


class NewApiKey(Request, frozen=True, kw_only=True):
    """A clinic's own key; `name` says who uses it."""

    name: ShortText


class MadeApiKey(msgspec.Struct):
    """`api_key` is shown this once; `id` is what the key is rolled and revoked by."""

    id: UUID
    name: str
    api_key: str
