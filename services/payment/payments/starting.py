"""Whether a client may start a payment request: pure decisions, no I/O."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from contracts.currencies import CURRENCIES
from contracts.events.envelope import Method
from contracts.money import Money
from contracts.vocabulary import ACCEPTED_AS, UNKNOWN, AcceptedMethod, PaymentKind
from services.payment.payments.domain import (
    Allocation,
    AlreadyPaid,
    AmountChanged,
    ChosenElsewhere,
    MethodNotAccepted,
    OnlinePaymentOff,
    Payment,
    PaymentInProgress,
    RestTooSmall,
    TooManyDeclines,
    TooManyInvoices,
    TooManyStarts,
    WrongAmount,
    WrongCurrency,
)
from services.payment.receivables.domain import (
    Clinic,
    Receivable,
    ReceivableBeingUpdated,
    ReceivableNotFound,
    ReceivableUnknown,
)
from services.payment.stripe.limits import AmountTooLarge, AmountTooSmall

MOST_INVOICES = 40
"""Stripe allows 50 metadata keys for an object: one for each invoice, and the fixed ones."""

UNKNOWN_MAY_COME = timedelta(days=1)
"""How long the `invoice.created` of an unknown invoice may still be on its way."""


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A payment request: the receivables, the amount for each, and how to pay."""

    client_id: UUID
    shares: Mapping[UUID, Money]
    kind: PaymentKind
    saved_method_id: UUID | None = None
    save: bool = False
    request_key: str | None = None

    @property
    def currency(self) -> str:
        return next(iter(self.shares.values())).currency

    @property
    def amount(self) -> int:
        return sum(share.minor for share in self.shares.values())

    @property
    def way(self) -> AcceptedMethod:
        """The kind of method, as clinics accept it."""
        return ACCEPTED_AS[self.kind]

    @property
    def choice(self) -> bytes:
        """A hash of all that makes two requests the same, as `same_as` has it."""
        shares = [f"{receivable_id} {share.minor}" for receivable_id, share in sorted(self.shares.items())]
        how = [self.currency, self.kind, str(self.saved_method_id), str(self.save)]
        return hashlib.sha256("\n".join([*how, *shares]).encode()).digest()

    def same_as(self, payment: Payment) -> bool:
        """Whether `payment` is of the same receivables, amounts and method."""
        shares = {share.receivable_id: share.amount for share in payment.allocations}
        return (
            shares == {receivable_id: share.minor for receivable_id, share in self.shares.items()}
            and payment.currency == self.currency
            and payment.kind == self.kind
            and payment.saved_method_id == self.saved_method_id
            and payment.save == self.save
        )


@dataclass(frozen=True, slots=True)
class Started:
    """The attempt to continue with: a new one, or the client's live one of the same request.

    Without one, cancel the `stale` attempts at Stripe first, then start again.
    `saved_method` is the Stripe id of the method to pay with, if one was chosen.
    """

    payment: Payment | None
    stale: tuple[Payment, ...] = ()
    saved_method: str | None = None
    is_new: bool = False


WINDOW = timedelta(hours=1)
MOST_DECLINES = 20
"""The most declines of a client in a window, and of one payment. Testing stolen cards needs many more."""


MOST_STARTS = 100
"""The most presses of Pay of a client in a window. Each may make and cancel a payment at Stripe."""


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """The most presses of Pay, and the most declines, of a client in an hour."""

    starts: int = MOST_STARTS
    declines: int = MOST_DECLINES


def check_starts(starts: int, seconds: int, most: int) -> None:
    """Raises `TooManyStarts`; the window ends in so many seconds."""
    if starts > most:
        raise TooManyStarts(
            "Too many payments were started. Please try again later, or ask the clinic.",
            retry_after=max(1, seconds),
        )


def check_declines(declines: int, most: int) -> None:
    """Raises `TooManyDeclines`."""
    if declines >= most:
        raise TooManyDeclines(
            "Too many cards were declined. Please try again later, or ask the clinic.",
            retry_after=int(WINDOW.total_seconds()),
        )


def check_request(request: PaymentRequest) -> None:
    """Refuse a request that can be no payment, whatever is due.

    Raises `TooManyInvoices`, `WrongAmount`, `WrongCurrency`, `AmountTooSmall`, `AmountTooLarge`.
    """
    if len(request.shares) > MOST_INVOICES:
        raise TooManyInvoices(f"Pay at most {MOST_INVOICES} invoices at once.", most=MOST_INVOICES)
    if any(share.minor <= 0 for share in request.shares.values()):
        raise WrongAmount("An amount to pay must be more than zero.")
    if len({share.currency for share in request.shares.values()}) > 1:
        raise WrongCurrency("Invoices in different currencies are paid one by one.")
    known = CURRENCIES.get(request.currency)
    if known is None:
        raise WrongCurrency(f"Nothing can be paid online in {request.currency}. Please contact the clinic.")
    if any(share.minor % known.step for share in request.shares.values()):
        raise WrongAmount(f"An amount to pay in {known.code} must be a multiple of {known.step} minor units.")
    if request.amount < known.minimum:
        raise AmountTooSmall(
            AmountTooSmall.message,
            minimum=_plain(known.minimum, known.code),
        )
    check_largest(request, brand=None)


def check_largest(request: PaymentRequest, brand: str | None) -> None:
    """Refuse more than the chosen way takes; `brand` is the saved card's.

    Raises `AmountTooLarge`, or `MethodNotAccepted` where the way does not take the currency.
    """
    most = CURRENCIES[request.currency].maximum(request.way, brand)
    if 0 < most < request.amount:
        raise AmountTooLarge(
            AmountTooLarge.message,
            maximum=_plain(most, request.currency),
        )
    if most == 0:
        raise MethodNotAccepted(
            f"Nothing can be paid in {request.currency} in this way. Please choose another."
        )


def _plain(minor: int, currency: str) -> dict[str, object]:
    return {"minor": minor, "currency": currency}


def check_clinic(clinic: Clinic | None, request: PaymentRequest) -> None:
    """Raises `ReceivableUnknown`, `OnlinePaymentOff`, `MethodNotAccepted`."""
    if clinic is None:
        raise ReceivableUnknown("The clinic is being set up. Please try again in a moment.")
    if not clinic.online_payment:
        raise OnlinePaymentOff("This clinic does not take payments online. Please contact the clinic.")
    if request.way not in clinic.methods:
        raise MethodNotAccepted("The clinic does not take this way of paying.")


def check_way(ways: Collection[AcceptedMethod], request: PaymentRequest) -> None:
    """Refuse a way to pay that the account has no capability for. Raises `MethodNotAccepted`."""
    if request.way not in ways:
        raise MethodNotAccepted("The clinic cannot take this way of paying at the moment.")


def check_receivables(request: PaymentRequest, receivables: Mapping[UUID, Receivable], now: datetime) -> None:
    """Refuse unless each receivable is the client's, in its currency, and open for the agreed amount.

    Raises `ReceivableUnknown`, `ReceivableNotFound`, `ReceivableBeingUpdated`, `WrongCurrency`, `AlreadyPaid`,
    `AmountChanged`, `RestTooSmall`.
    """
    for receivable_id, share in sorted(request.shares.items()):
        receivable = receivables.get(receivable_id)
        if receivable is None and _may_still_come(receivable_id, now):
            raise ReceivableUnknown("This invoice has only just been issued. Please try again in a moment.")
        if receivable is None or receivable.client_id != request.client_id:
            raise ReceivableNotFound("There is no such invoice.")
        _check_amount(receivable, share)


def _check_amount(receivable: Receivable, share: Money) -> None:
    if receivable.status == UNKNOWN:
        raise ReceivableBeingUpdated(
            "This invoice is being updated. Please look at it again in a few minutes.",
            invoice_id=str(receivable.id),
        )
    if share.currency != receivable.currency:
        raise WrongCurrency(f"This invoice is in {receivable.currency}.")
    if receivable.open_amount == 0:
        raise AlreadyPaid("There is nothing left to pay on this invoice.", invoice_id=str(receivable.id))
    if share.minor > receivable.open_amount:
        raise AmountChanged(
            "The amount due has changed. Please look at the invoice again.",
            invoice_id=str(receivable.id),
            open=_plain(receivable.open_amount, receivable.currency),
        )
    _check_rest(receivable, share)


def _check_rest(receivable: Receivable, share: Money) -> None:
    """Refuse a rest that could not be paid by itself: perhaps no other invoice will be open to pay it with."""
    least = CURRENCIES[receivable.currency].minimum
    if not 0 < receivable.open_amount - share.minor < least:
        return
    largest = receivable.open_amount - least
    raise RestTooSmall(
        "This leaves less than can be paid online. Please pay all of it, or a smaller part.",
        invoice_id=str(receivable.id),
        whole=_plain(receivable.open_amount, receivable.currency),
        largest_part=_plain(largest, receivable.currency) if largest >= least else None,
    )


def _may_still_come(receivable_id: UUID, now: datetime) -> bool:
    """Whether an unknown id is a young UUIDv7, whose `invoice.created` may be on its way."""
    millis = receivable_id.int >> 80
    return (
        receivable_id.version == 7 and abs(now.timestamp() - millis / 1000) < UNKNOWN_MAY_COME.total_seconds()
    )


def check_choice(request: PaymentRequest, receivables: Iterable[Receivable]) -> None:
    """Yield to a newer choice: of many tabs the last one wins, and none cancels what it has begun.

    Raises `ChosenElsewhere`.
    """
    if any(receivable.choice not in (None, request.choice) for receivable in receivables):
        raise ChosenElsewhere(
            "You have chosen another way or amount to pay since, perhaps in another tab. "
            "Go on there, or choose here again."
        )


def live_answer(request: PaymentRequest, live: Collection[Payment]) -> Payment | None:
    """The client's live attempt of the same request, if it is the only one. Raises `PaymentInProgress`."""
    if any(payment.status == "processing" for payment in live):
        raise PaymentInProgress("A payment for this invoice is already on its way. Please wait for it.")
    return next((each for each in live if len(live) == 1 and each.reserves and request.same_as(each)), None)


def begin(
    request: PaymentRequest,
    clinic_id: UUID,
    payment_id: UUID,
    *,
    account: str,
    livemode: bool,
    method: Method | None,
    traceparent: str | None,
    now: datetime,
) -> Payment:
    """A new payment that reserves its receivables. Its Stripe idempotency key is committed with it."""
    return Payment(
        clinic_id=clinic_id,
        id=payment_id,
        client_id=request.client_id,
        account=account,
        livemode=livemode,
        status="created",
        amount=request.amount,
        currency=request.currency,
        kind=request.kind,
        save=request.save,
        idempotency_key=f"payment-{payment_id}",
        created_at=now,
        updated_at=now,
        allocations=_allocations(request),
        saved_method_id=request.saved_method_id,
        request_key=request.request_key,
        method=method,
        traceparent=traceparent,
    )


def _allocations(request: PaymentRequest) -> tuple[Allocation, ...]:
    shares: Sequence[tuple[UUID, Money]] = sorted(request.shares.items())
    return tuple(Allocation(receivable_id, share.minor) for receivable_id, share in shares)
