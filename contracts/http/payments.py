"""Payments: bodies of the payment service."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, TypeAlias, cast
from uuid import UUID

from msgspec import Meta, field

from contracts.consents import ConsentKind
from contracts.http.common import Answer, Money, PaidWith, Request
from contracts.vocabulary import PaymentKind, PaymentStatus

REFERENCE: Final = r"^R-[0-9A-Fa-f]{10}$"
"""The form of a payment's reference, as `receipt_number` makes it."""
MOST_INVOICES: Final = 40
"""The most invoices of one payment. Stripe allows 50 metadata keys for an object: one for each invoice, and the
fixed ones."""


class ShareIn(Request, frozen=True, kw_only=True):
    """The amount that the client agreed to pay on one invoice."""

    invoice_id: UUID
    amount: Money


class PayByCard(Request, frozen=True, kw_only=True, tag="card", tag_field="kind"):
    """A card that is entered in the page's form."""


class PayBySaved(Request, frozen=True, kw_only=True, tag="saved", tag_field="kind"):
    """One of the client's saved payment methods."""

    payment_method_id: UUID


class PayByRedirect(Request, frozen=True, kw_only=True, tag="redirect", tag_field="kind"):
    """An online payment system that the client is sent to."""


class PayByDebit(Request, frozen=True, kw_only=True, tag="debit", tag_field="kind"):
    """A debit of a bank account that is entered in the page's form. It takes days."""


PayBy: TypeAlias = PayByCard | PayBySaved | PayByRedirect | PayByDebit


def kind_of(method: PayBy) -> PaymentKind:
    """How the client chose to pay: the tag of the body."""
    return cast(PaymentKind, method.__struct_config__.tag)


class ConsentIn(Request, frozen=True, kw_only=True):
    """The text that the client agreed to with the press, as the page showed it."""

    kind: ConsentKind
    version: Annotated[str, Meta(min_length=1, max_length=60)]
    locale: Annotated[str, Meta(min_length=2, max_length=20)]
    text: Annotated[str, Meta(min_length=1, max_length=4000)]


def check_choice(
    invoices: Sequence[ShareIn], deposit: Money | None, method: PayBy | None, credit: Money | None
) -> None:
    """Raises `ValueError` for nothing to pay, for two things, and for a method that is missing or not needed."""
    if bool(invoices) == (deposit is not None):
        raise ValueError("Name `invoices`, or a `deposit`.")
    if deposit is not None and credit is not None:
        raise ValueError("Credit pays `invoices`.")
    is_alone = credit is not None and credit.minor == sum(share.amount.minor for share in invoices)
    if (method is None) != is_alone:
        raise ValueError("Name a `method`, unless `credit` pays all.")


class PaymentIn(Request, frozen=True, kw_only=True):
    """A payment to start: over one or more invoices, or a deposit before there is one.

    `credit` is the part of the invoices' sum that the client's credit pays: the rest is charged. Credit that pays all
    of it needs no `method`, and is charged nowhere.

    Raises when it names both invoices and a deposit, or neither; a deposit with credit; no method where one is needed,
    or one where none is.
    """

    invoices: Annotated[list[ShareIn], Meta(max_length=50)] = field(default_factory=list)
    deposit: Money | None = None
    method: PayBy | None = None
    credit: Money | None = None
    save: bool = False
    consent: ConsentIn | None = None
    """To the debit, without which none is started; or to later charges of the card that is saved."""

    def __post_init__(self) -> None:
        check_choice(self.invoices, self.deposit, self.method, self.credit)


class PaymentStart(Answer, frozen=True, kw_only=True):
    """The values with which a page confirms a payment. `saved_method` is Stripe's id of the method to confirm with.

    One that credit paid alone has succeeded, and there is nothing to confirm.
    """

    payment_id: UUID
    status: PaymentStatus
    client_secret: str | None
    stripe_account: str | None
    saved_method: str | None


class PaymentFailure(Answer, frozen=True, kw_only=True):
    """Why the last attempt failed: Stripe's code, and a sentence for the client."""

    code: str
    message: str


class ShareOut(Answer, frozen=True, kw_only=True):
    """A payment's part for one invoice: the settled amount once the payment succeeded, before that the agreed one."""

    invoice_id: UUID
    amount: Money


class PaymentShareOut(ShareOut, frozen=True, kw_only=True):
    """With the client's credit that pays a part of the invoice beside `amount`; null for none."""

    credit: Money | None = None


class OnItsWay(Answer, frozen=True, kw_only=True):
    """An invoice for which money is or may be on its way.

    `processing`: a payment of it is confirmed and not booked yet. `open` is what is still to be paid by the payment
    service's count; where that is less than the invoice says, the invoice service has not booked a payment yet.
    """

    invoice_id: UUID
    open: Money | None
    processing: bool


class PaymentOut(Answer, frozen=True, kw_only=True):
    """A payment. `version` counts its state events, so that a page knows which of two answers is newer.

    `asked`: nothing more can have happened at Stripe. `taken`: Stripe has the money, and it is not booked yet.
    `credit` is the client's credit beside `amount`: reserved while the payment may succeed, and used once it did. Null
    for none, and once it is the client's again; the invoices still have what was agreed.
    `reversed_at`: when staff took a recorded payment back, which pays nothing since. `reference` is the number of its
    receipt, by which its client names it, also while there is none. `status_at` is since when it has its status, by
    Stripe's clock.
    """

    id: UUID
    status: PaymentStatus
    amount: Money
    method: PaidWith | None
    failure: PaymentFailure | None
    created_at: datetime
    succeeded_at: datetime | None
    invoices: list[PaymentShareOut]
    surplus: Money | None
    version: int
    credit: Money | None = None
    asked: bool = False
    taken: bool = False
    reversed_at: datetime | None = None
    reference: str = ""
    status_at: datetime | None = None
