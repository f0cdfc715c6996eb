"""What goes in and out over HTTP. Amounts are integer minor units with an ISO 4217 currency, times are UTC."""

from datetime import datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contracts import money
from contracts.vocabulary import ChargedOn, PaymentKind, PaymentStatus, decline
from services.payment.accounts.domain import ClinicAccount, charged_on
from services.payment.payments.domain import Payment, SavedMethod
from services.payment.payments.starting import Wish
from services.payment.payments.stripe_calls import Ready

T = TypeVar("T")


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody sends us."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What we send back."""


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    minor: Annotated[int, Meta(ge=-money.LARGEST_MINOR, le=money.LARGEST_MINOR)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]


class ShareIn(Question, frozen=True, kw_only=True):
    """What the client agreed to pay on one invoice."""

    invoice_id: UUID
    amount: Money


class Card(Question, frozen=True, kw_only=True, tag="card", tag_field="kind"):
    """A card that the page's form takes."""


class Saved(Question, frozen=True, kw_only=True, tag="saved", tag_field="kind"):
    """One of the client's saved payment methods."""

    payment_method_id: UUID


class Redirect(Question, frozen=True, kw_only=True, tag="redirect", tag_field="kind"):
    """An online payment system that the client is sent to."""


class PaymentIn(Question, frozen=True, kw_only=True):
    invoices: Annotated[list[ShareIn], Meta(min_length=1, max_length=50)]
    method: Card | Saved | Redirect
    save: bool = False

    def wish(self, client_id: UUID, request_key: str | None) -> Wish | None:
        """What the client asks for; None when an invoice is named twice."""
        shares = {share.invoice_id: share.amount for share in self.invoices}
        if len(shares) < len(self.invoices):
            return None
        return Wish(
            client_id=client_id,
            shares={
                payable_id: money.Money(minor=amount.minor, currency=amount.currency)
                for payable_id, amount in shares.items()
            },
            kind=_KINDS[type(self.method)],
            saved_method_id=self.method.payment_method_id if isinstance(self.method, Saved) else None,
            save=self.save,
            request_key=request_key,
        )


_KINDS: dict[type[Card | Saved | Redirect], PaymentKind] = {
    Card: "card",
    Saved: "saved",
    Redirect: "redirect",
}


class PaymentStart(Answer, frozen=True, kw_only=True):
    """What a page needs to confirm a payment. `saved_method` is Stripe's id of the method to confirm with."""

    payment_id: UUID
    status: PaymentStatus
    client_secret: str | None
    stripe_account: str | None
    saved_method: str | None

    @classmethod
    def of(cls, ready: Ready) -> "PaymentStart":
        """Money that Stripe has and we have not booked yet is on its way."""
        taken = ready.intent.status in ("succeeded", "processing") and ready.payment.status != "succeeded"
        return cls(
            payment_id=ready.payment.id,
            status="processing" if taken else ready.payment.status,
            client_secret=ready.intent.client_secret,
            stripe_account=ready.payment.account or None,
            saved_method=ready.saved_method,
        )


class MethodOut(Answer, frozen=True, kw_only=True):
    """How a payment was paid."""

    kind: str
    brand: str | None
    last4: str | None


class Failure(Answer, frozen=True, kw_only=True):
    """Why the last try failed: Stripe's code, and words for the client."""

    code: str
    message: str


class ShareOut(Answer, frozen=True, kw_only=True):
    """A payment's part for one invoice: what was settled once it succeeded, before what is meant to be."""

    invoice_id: UUID
    amount: Money


class PaymentOut(Answer, frozen=True, kw_only=True):
    id: UUID
    status: PaymentStatus
    amount: Money
    method: MethodOut | None
    failure: Failure | None
    created_at: datetime
    succeeded_at: datetime | None
    invoices: list[ShareOut]
    surplus: Money | None
    version: int
    """Counts the payment's state events, so that a page knows which of two pictures is newer."""

    @classmethod
    def of(cls, payment: Payment) -> "PaymentOut":
        done = payment.status == "succeeded"
        method, currency = payment.method, payment.currency
        code = payment.failure_code if payment.status == "failed" else None
        return cls(
            id=payment.id,
            status=payment.status,
            amount=Money(payment.amount, currency),
            method=MethodOut(kind=method.kind, brand=method.brand, last4=method.last4) if method else None,
            failure=Failure(code=code, message=decline(code).reason) if code else None,
            created_at=payment.created_at,
            succeeded_at=payment.succeeded_at,
            invoices=[
                ShareOut(
                    invoice_id=share.payable_id,
                    amount=Money(share.settled_amount if done else share.amount, currency),
                )
                for share in payment.allocations
            ],
            surplus=Money(payment.surplus, currency) if payment.surplus else None,
            version=payment.version,
        )


class SavedMethodOut(Answer, frozen=True, kw_only=True):
    id: UUID
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    default: bool

    @classmethod
    def of(cls, method: SavedMethod, default: bool) -> "SavedMethodOut":
        return cls(
            id=method.id,
            kind=method.kind,
            brand=method.brand,
            last4=method.last4,
            exp_month=method.exp_month,
            exp_year=method.exp_year,
            default=default,
        )


class SetupStart(Answer, frozen=True, kw_only=True):
    """What a page needs to save a card."""

    client_secret: str
    stripe_account: str | None


class Page(Answer, Generic[T], frozen=True, kw_only=True):
    """One page of a list; `next` is the cursor of the following one, null at the end."""

    items: list[T]
    next: str | None = None


StripeAccountId = Annotated[str, Meta(pattern=r"^acct_[A-Za-z0-9]{1,60}$(?!\n)")]


class AccountOut(Answer, frozen=True, kw_only=True):
    """The choice for the clinic, and where its clients' money goes by it: `none` means no payment starts."""

    stripe_account_id: str | None
    platform_account: bool
    charged_on: ChargedOn

    @classmethod
    def of(cls, chosen: ClinicAccount, livemode: bool) -> "AccountOut":
        return cls(
            stripe_account_id=chosen.own,
            platform_account=chosen.platform,
            charged_on=charged_on(chosen, livemode),
        )


class AccountIn(Question, frozen=True, kw_only=True):
    """The clinic's own Stripe account, or the platform's, or neither. Raises when it names both, or nothing at all."""

    stripe_account_id: StripeAccountId | UnsetType | None = UNSET
    platform_account: bool = False

    def __post_init__(self) -> None:
        own, nothing = isinstance(self.stripe_account_id, str), self.stripe_account_id is UNSET
        if self.platform_account == own and (own or nothing):
            raise ValueError("Name one: `stripe_account_id` (null for none), or `platform_account`: true.")

    def chosen(self) -> ClinicAccount:
        return ClinicAccount(self.stripe_account_id or None, self.platform_account)
