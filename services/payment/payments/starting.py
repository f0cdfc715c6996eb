"""Whether a client may start a payment request: pure decisions, no I/O."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts.consents import Consent
from contracts.currencies import CURRENCIES, Currency
from contracts.events.envelope import Method
from contracts.http.payments import MOST_INVOICES
from contracts.money import Money
from contracts.vocabulary import ACCEPTED_AS, DEBIT_TYPES, UNKNOWN, AcceptedMethod, PaymentKind
from services.payment.accounts.domain import AccountState
from services.payment.ledger.domain import CreditOverdrawn, allocate
from services.payment.payments.domain import (
    Allocation,
    AlreadyPaid,
    AmountChanged,
    ChosenElsewhere,
    ConsentMissing,
    CreditRestTooSmall,
    DepositsOff,
    MethodNotAccepted,
    OnlinePaymentOff,
    PartsOff,
    PartTooSmall,
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
    JUST_ISSUED,
    Clinic,
    Receivable,
    ReceivableBeingUpdated,
    ReceivableNotFound,
    ReceivableUnknown,
    may_still_come,
)
from services.payment.stripe.limits import AmountTooLarge, AmountTooSmall


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A payment request: the receivables, the amount for each, how to pay, and what the client agreed to with it.

    A `deposit` has no receivables. `credit` is the part of the receivables' sum that the client's credit pays; with a
    `kind` of `credit` it is all of it, and nothing is charged.
    """

    client_id: UUID
    shares: Mapping[UUID, Money]
    kind: PaymentKind | Literal["credit"]
    saved_method_id: UUID | None = None
    save: bool = False
    request_key: str | None = None
    consent: Consent | None = None
    deposit: Money | None = None
    credit: Money | None = None

    @property
    def amounts(self) -> list[Money]:
        """The amount for each receivable; of a deposit the one amount."""
        return [self.deposit] if self.deposit else list(self.shares.values())

    @property
    def currency(self) -> str:
        return self.amounts[0].currency

    @property
    def amount(self) -> int:
        return sum(each.minor for each in self.amounts)

    @property
    def charged(self) -> int:
        """The part of the amount that Stripe charges."""
        return self.amount - (self.credit.minor if self.credit else 0)

    @property
    def way(self) -> AcceptedMethod | None:
        """The kind of method, as clinics accept it; None when nothing is charged."""
        return None if self.kind == "credit" else ACCEPTED_AS[self.kind]

    @property
    def choice(self) -> bytes:
        """A hash of all that makes two requests the same, as `same_as` has it."""
        shares = [f"{receivable_id} {share.minor}" for receivable_id, share in sorted(self.shares.items())]
        how = [self.currency, self.kind, str(self.saved_method_id), str(self.save)]
        how += [f"deposit {self.deposit.minor}"] if self.deposit else []
        how += [f"credit {self.credit.minor}"] if self.credit else []
        return hashlib.sha256("\n".join([*how, *shares]).encode()).digest()

    def is_of(self, payment: Payment) -> bool:
        """Whether `payment` is of one of the same receivables, or a deposit as this is."""
        named = any(share.receivable_id in self.shares for share in payment.allocations)
        return named or (payment.deposit and self.deposit is not None)

    def same_as(self, payment: Payment) -> bool:
        """Whether `payment` is of the same receivables, amounts and method."""
        shares = {share.receivable_id: share.whole for share in payment.allocations}
        return (
            shares == {receivable_id: share.minor for receivable_id, share in self.shares.items()}
            and payment.currency == self.currency
            and payment.deposit == (self.deposit is not None)
            and payment.agreed == (self.amount if self.kind == "credit" else self.charged)
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

    Raises `TooManyInvoices`, `WrongAmount`, `WrongCurrency`, `CreditRestTooSmall`, `AmountTooSmall`, `AmountTooLarge`,
    `MethodNotAccepted`, `ConsentMissing`.
    """
    if len(request.shares) > MOST_INVOICES:
        raise TooManyInvoices(f"Pay at most {MOST_INVOICES} invoices at once.", most=MOST_INVOICES)
    if any(each.minor <= 0 for each in request.amounts):
        raise WrongAmount("An amount to pay must be more than zero.")
    if len({share.currency for share in request.shares.values()}) > 1:
        raise WrongCurrency("Invoices in different currencies are paid one by one.")
    known = CURRENCIES.get(request.currency)
    if known is None:
        raise WrongCurrency(f"Nothing can be paid online in {request.currency}. Please contact the clinic.")
    if request.credit is not None:
        _check_credit(request, request.credit, known)
    if request.kind == "credit":
        return
    if any(each.minor % known.step for each in request.amounts):
        raise WrongAmount(_in_steps(known))
    if request.charged < known.minimum:
        raise AmountTooSmall(
            AmountTooSmall.message,
            minimum=_plain(known.minimum, known.code),
        )
    check_largest(request, brand=None)
    if request.kind == "debit" and (request.consent is None or request.consent.kind != "debit"):
        raise ConsentMissing("A bank account is debited only with the consent of its holder.")


def _check_credit(request: PaymentRequest, credit: Money, known: Currency) -> None:
    """Refuse credit that is none, is more than is to be paid, or leaves a rest that cannot be charged."""
    if credit.currency != request.currency:
        raise WrongCurrency("Credit pays invoices in its own currency.", field="credit")
    if not 0 < credit.minor <= request.amount:
        raise WrongAmount(
            "The credit to use must be more than zero, and not more than is paid.", field="credit"
        )
    if request.charged and credit.minor % known.step:
        raise WrongAmount(_in_steps(known), field="credit")
    least = known.beside_credit(len(request.shares))
    if 0 < request.charged < least:
        most = request.amount - least
        raise CreditRestTooSmall(
            "This leaves less than can be charged. Please use less credit, or as much as is to be paid.",
            most=_plain(most, known.code) if most > 0 else None,
        )


def _in_steps(currency: Currency) -> str:
    return f"An amount to pay in {currency.code} must be a multiple of {currency.step} minor units."


def check_free_credit(request: PaymentRequest, free: int) -> None:
    """Refuse more credit than the client has. Raises `CreditOverdrawn`."""
    if request.credit is not None and request.credit.minor > free:
        raise CreditOverdrawn(
            "You have less credit than that by now. Please look at the page again.",
            credit=_plain(free, request.currency),
        )


def check_largest(request: PaymentRequest, brand: str | None) -> None:
    """Refuse more than the chosen way takes; `brand` is the saved card's.

    Raises `AmountTooLarge`, or `MethodNotAccepted` where the way does not take the currency.
    """
    if request.way is None:
        return
    most = CURRENCIES[request.currency].maximum(request.way, brand)
    if 0 < most < request.charged:
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


def check_clinic(clinic: Clinic | None, request: PaymentRequest) -> Clinic:
    """The clinic, which takes this way of paying.

    Raises `ReceivableUnknown`, `OnlinePaymentOff`, `MethodNotAccepted`.
    """
    if clinic is None:
        raise ReceivableUnknown("The clinic is being set up. Please try again in a moment.")
    if not clinic.online_payment:
        raise OnlinePaymentOff("This clinic does not take payments online. Please contact the clinic.")
    if request.way is not None and request.way not in clinic.methods:
        raise MethodNotAccepted("The clinic does not take this way of paying.")
    return clinic


def check_way(state: AccountState, request: PaymentRequest) -> None:
    """Refuse a way to pay that the account has no capability for. Raises `MethodNotAccepted`."""
    if request.way is not None and not state.takes(request.way, request.currency):
        raise MethodNotAccepted("The clinic cannot take this way of paying at the moment.")


def check_receivables(request: PaymentRequest, receivables: Mapping[UUID, Receivable], now: datetime) -> None:
    """Refuse unless each receivable is the client's, in its currency, and open for the agreed amount.

    Raises `ReceivableUnknown`, `ReceivableNotFound`, `ReceivableBeingUpdated`, `WrongCurrency`, `AlreadyPaid`,
    `AmountChanged`, `RestTooSmall`.
    """
    for receivable_id, share in sorted(request.shares.items()):
        receivable = receivables.get(receivable_id)
        if receivable is None and may_still_come(receivable_id, now):
            raise ReceivableUnknown(JUST_ISSUED)
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


def check_deposit(clinic: Clinic, request: PaymentRequest) -> None:
    """Refuse a deposit where the clinic takes none, or in another currency. Raises `DepositsOff`, `WrongCurrency`."""
    if not clinic.deposits:
        raise DepositsOff("The clinic takes no payment before there is an invoice.")
    if request.currency != clinic.currency:
        raise WrongCurrency(f"A deposit is paid in {clinic.currency}.")


def check_parts(clinic: Clinic, request: PaymentRequest, receivables: Mapping[UUID, Receivable]) -> None:
    """Refuse a part of an invoice where the clinic takes none, or one below its smallest part.

    An invoice in another currency than the clinic's may be paid in parts of Stripe's smallest charge and more.

    Raises `PartsOff`, `PartTooSmall`, `WrongAmount`.
    """
    for receivable_id, share in sorted(request.shares.items()):
        open_amount = receivables[receivable_id].open_amount
        if share.minor == open_amount:
            continue
        known = CURRENCIES[share.currency]
        if share.minor % known.step:  # the rest could not be charged
            raise WrongAmount(_in_steps(known), invoice_id=str(receivable_id))
        if clinic.least_part is None:
            raise PartsOff(
                "The clinic does not take a part of an invoice. Please pay all of it.",
                invoice_id=str(receivable_id),
                open=_plain(open_amount, share.currency),
            )
        least = clinic.least_part if share.currency == clinic.currency else CURRENCIES[share.currency].minimum
        if share.minor < least:
            raise PartTooSmall(
                "This is less than the smallest part that the clinic takes.",
                invoice_id=str(receivable_id),
                least=_plain(least, share.currency),
            )


def check_choice(request: PaymentRequest, receivables: Iterable[Receivable]) -> None:
    """Yield to a newer choice: of many tabs the last one wins, and none cancels what it has begun.

    Raises `ChosenElsewhere`.
    """
    check_newest(request, *(receivable.choice for receivable in receivables))


def check_newest(request: PaymentRequest, *choices: bytes | None) -> None:
    """Raises `ChosenElsewhere` when one of the newest choices is another one."""
    if any(choice not in (None, request.choice) for choice in choices):
        raise ChosenElsewhere(
            "You have chosen another way or amount to pay since, perhaps in another tab. "
            "Go on there, or choose here again."
        )


def live_answer(request: PaymentRequest, live: Collection[Payment]) -> Payment | None:
    """The client's live attempt of the same request, if it is the only one. Raises `PaymentInProgress`."""
    if any(payment.status == "processing" for payment in live):
        raise PaymentInProgress("A payment for this invoice is already on its way. Please wait for it.")
    return next((each for each in live if len(live) == 1 and each.reserves and request.same_as(each)), None)


def debited(request: PaymentRequest) -> Method | None:
    """The kind of a bank debit: the only one that its intent takes. Stripe reports its details with the charge."""
    return Method(kind=DEBIT_TYPES[request.currency]) if request.kind == "debit" else None


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
        amount=request.charged,
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
        deposit=request.deposit is not None,
    )


def _allocations(request: PaymentRequest) -> tuple[Allocation, ...]:
    """The shares, oldest first, each with its part of the credit.

    Credit leaves a step of every share to be charged, so that each event of the payment names all of its invoices.
    `check_request` holds that so much is charged.
    """
    shares: Sequence[tuple[UUID, Money]] = sorted(request.shares.items())
    step = CURRENCIES[request.currency].step
    credit = allocate(
        request.amount - request.charged,
        ((receivable_id, share.minor - step) for receivable_id, share in shares),
    )
    return tuple(
        Allocation(each, share.minor - credit[each], credit_amount=credit[each]) for each, share in shares
    )
