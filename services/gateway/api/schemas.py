"""What the public API takes, beyond what the services take themselves."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import HeaderParameter, QueryParameter
from msgspec import UNSET, UnsetType

from contracts.vocabulary import AcceptedMethod
from services.gateway.accounts.passwords import LONGEST, SHORTEST
from services.gateway.shapes import BillingAddressIn, Client, Clinic, ClinicIn
from services.gateway.shapes.clinic import Accent, AddressLines, Slug, TaxRates
from services.gateway.shapes.common import Currency, Question, ShortText

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


class ClinicSettings(ClinicIn, forbid_unknown_fields=True, kw_only=True):
    """A clinic's settings, whole. Those that are about money must be there: none is set back by being forgotten."""

    billing_shown: bool
    online_payment: bool
    methods: list[AcceptedMethod]
    tax_rates: TaxRates


class ContactPatch(Question, kw_only=True):
    phone: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    address: str | UnsetType | None = UNSET
    hours: str | UnsetType | None = UNSET


class ClinicPatch(Question, kw_only=True):
    """Settings to change. Null sets back to the default, and is refused where there is none."""

    slug: Slug | UnsetType = UNSET
    name: ShortText | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    locale: str | UnsetType | None = UNSET
    billing_shown: bool | UnsetType | None = UNSET
    online_payment: bool | UnsetType | None = UNSET
    methods: list[AcceptedMethod] | UnsetType | None = UNSET
    contact: ContactPatch | UnsetType | None = UNSET
    accent: Accent | UnsetType | None = UNSET
    tax_rates: TaxRates | UnsetType | None = UNSET


class ClinicAnswer(Clinic):
    """The settings, and the choice of a Stripe account: `PUT /clinics/{id}/stripe-account` makes it."""

    stripe_account_id: str | None = None
    platform_account: bool = False


class LoginIn(Question):
    """A login for the client's e-mail. One that exists keeps its password and opens this clinic too."""

    password: Password


class NewClient(Question, kw_only=True):
    """A client, the contact for e-mails, and if wanted a login to the portal."""

    name: ShortText
    email: str
    language: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}$(?!\n)")] = "en"
    billing_address: BillingAddressIn | None = None
    login: LoginIn | None = None


class AddressPatch(Question, kw_only=True):
    lines: AddressLines | UnsetType | None = UNSET
    postcode: str | UnsetType | None = UNSET
    city: str | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET


class ClientPatch(Question, kw_only=True):
    """What to change. Null sets back to the default, and is refused where there is none."""

    name: ShortText | UnsetType = UNSET
    email: str | UnsetType = UNSET
    language: str | UnsetType | None = UNSET
    billing_address: AddressPatch | UnsetType | None = UNSET


class ClientAnswer(Client):
    email: str | None = None
    language: str | None = None


class NewStaff(Question):
    email: str
    password: Password


class Staff(msgspec.Struct):
    email: str
    role: str = "staff"


class NewApiKey(Question):
    """A clinic's own key; `name` says who uses it."""

    name: ShortText


class MadeApiKey(msgspec.Struct):
    """`api_key` is shown this once; `id` is what the key is rolled and revoked by."""

    id: UUID
    name: str
    api_key: str
