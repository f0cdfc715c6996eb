"""Payments and saved methods, as the payment service takes and shows them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from contracts.vocabulary import ChargedOn, PaymentStatus
from services.gateway.shapes.common import MethodRef, Money, Question


class InvoiceAmount(msgspec.Struct):
    """An amount for one invoice; in a question, the one that the client saw and agreed to."""

    invoice_id: UUID
    amount: Money


class PayByCard(Question, tag_field="kind", tag="card"):
    pass


class PayBySaved(Question, tag_field="kind", tag="saved"):
    payment_method_id: UUID


class PayByRedirect(Question, tag_field="kind", tag="redirect"):
    pass


class PaymentIn(Question):
    invoices: Annotated[list[InvoiceAmount], msgspec.Meta(min_length=1, max_length=50)]
    method: PayByCard | PayBySaved | PayByRedirect
    save: bool = False


class PaymentStart(msgspec.Struct, kw_only=True):
    """A payment that waits for the browser: `client_secret` goes to Stripe.js, with the clinic's account."""

    payment_id: UUID
    status: str
    client_secret: str | None = None
    stripe_account: str | None = None
    saved_method: str | None = None


class PaymentFailure(msgspec.Struct):
    code: str
    message: str = ""


class PaymentOut(msgspec.Struct, kw_only=True):
    id: UUID
    status: PaymentStatus
    amount: Money
    invoices: list[InvoiceAmount]
    created_at: datetime
    succeeded_at: datetime | None = None
    method: MethodRef | None = None
    failure: PaymentFailure | None = None
    surplus: Money | None = None
    version: int = 0


class SavedMethod(msgspec.Struct, kw_only=True):
    id: UUID
    kind: str
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    default: bool = False


class SetupStart(msgspec.Struct):
    client_secret: str
    stripe_account: str | None = None


StripeAccountId = Annotated[str, msgspec.Meta(pattern=r"^acct_[A-Za-z0-9]{1,60}$(?!\n)")]


class AccountIn(Question):
    """The clinic's own Stripe account, or the platform's (`platform_account`: true), or null for none."""

    stripe_account_id: StripeAccountId | msgspec.UnsetType | None = msgspec.UNSET
    platform_account: bool = False


class Account(msgspec.Struct):
    """The choice for the clinic, and where its clients' money goes by it.

    `none`: no payment starts. With Stripe's test keys, money of a clinic without a choice goes to the `platform`.
    """

    charged_on: ChargedOn
    stripe_account_id: str | None = None
    platform_account: bool = False
