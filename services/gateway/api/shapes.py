"""What the public API takes, beyond what the services take themselves."""

from typing import Annotated

import msgspec
from litestar.params import HeaderParameter

from services.gateway.passwords import LONGEST, SHORTEST
from services.gateway.shapes import BillingAddressIn, Client, Clinic, ClinicIn, Question, ShortText

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
StripeAccount = Annotated[str, msgspec.Meta(pattern=r"^acct_[A-Za-z0-9]{1,60}$(?!\n)")]


class NewClinic(ClinicIn, forbid_unknown_fields=True):
    """A clinic with its connected Stripe account; without one, charges are made on the platform's own."""

    stripe_account_id: StripeAccount | None = None


class ClinicAnswer(Clinic):
    stripe_account_id: str | None = None


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


class CreatedApiKey(msgspec.Struct):
    """The key is shown this once."""

    name: str
    api_key: str
