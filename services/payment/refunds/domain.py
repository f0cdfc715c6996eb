"""Refunds of credit: how much may go back to which payment, and how observations change a refund. Pure decisions.

A refund's states have an order: created, then with Stripe (pending, requires_action), succeeded, and last the end
without the money (failed, canceled), which may come days after a success. A state is never followed by an earlier
one, so events may come late, twice and in any order. Amounts are integer minor units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.currencies import step_of
from contracts.events.envelope import Method, event_id
from contracts.events.payment import PaymentRefunded
from contracts.events.stripe import StripeEvent
from contracts.money import Money
from contracts.vocabulary import RefundStatus
from services.chassis.errors import DomainError
from services.chassis.ids import Key, made_at
from services.payment.ledger import domain as ledger
from services.payment.payments.domain import WrongAmount
from services.payment.stripe.mismatches import (
    StripeMismatch,
    WrongAccount,
    WrongCharge,
    WrongClinic,
    WrongIntent,
    WrongMode,
)

_STEP: Mapping[RefundStatus, int] = {
    "created": 0,
    "pending": 1,
    "requires_action": 1,
    "succeeded": 2,
    "failed": 3,
    "canceled": 3,
}
_STATUS_OF: Mapping[str | None, RefundStatus] = {
    "pending": "pending",
    "requires_action": "requires_action",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "canceled",
}
LOST_AFTER = timedelta(minutes=10)
"""Stripe repeats its own error under the same key: if there is no refund by then, there never will be."""


class ClientNotFound(DomainError):
    code = "client_not_found"
    status = 404


class NothingToRefund(DomainError):
    code = "nothing_to_refund"
    status = 409


class RefundTooLarge(DomainError):
    """More than is refundable; `refundable` is the limit."""

    code = "refund_too_large"
    status = 409


class RefundGivenUp(StripeMismatch):
    """Stripe has a refund whose credit was given back, since it provably had none. A person must decide."""

    code = "stripe_refund_given_up"


@dataclass(frozen=True, slots=True)
class Surplus:
    """A payment's surplus. `left` is neither refunded nor being refunded; `refunded` is."""

    payment_id: UUID
    left: Money
    method: Method | None
    refunded: int = 0


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """A refund request of staff, for one payment or for all in `currency`; `amount` None means all that is left."""

    client_id: UUID
    currency: str
    payment_id: UUID | None
    amount: int | None


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund, with its payment's account and method. `account` '' is the platform's own.

    `fact_id` is the id of its `payment.refunded`; None for one that an earlier release made by another rule.
    `installation` and `signature` are its seal at Stripe; None for a refund of an earlier release.
    """

    clinic_id: UUID
    id: UUID
    client_id: UUID
    payment_id: UUID
    account: str
    livemode: bool
    intent_id: str
    status: RefundStatus
    amount: int
    currency: str
    created_at: datetime
    updated_at: datetime
    stripe_refund_id: str | None = None
    failure_reason: str | None = None
    traceparent: str | None = None
    refunded_at: datetime | None = None
    seen_at: datetime | None = None
    fact_id: UUID | None = None
    installation: str | None = None
    signature: str | None = None
    method: Method | None = None

    @property
    def key(self) -> Key:
        return self.clinic_id, self.id

    @property
    def idempotency_key(self) -> str:
        return key_of(self.id)


@dataclass(frozen=True, slots=True)
class RefundChange:
    """The effect of an observation: the refund after it, the booking, the event to publish. Often nothing."""

    refund: Refund
    entry: ledger.Entry | None = None
    fact: PaymentRefunded | None = None


def key_of(refund_id: UUID) -> str:
    return f"refund-{refund_id}"


def refundable(surpluses: Sequence[Surplus], credit: Sequence[Money]) -> dict[str, int]:
    """How much of each currency can be refunded: the payments' surpluses, and at most the credit."""
    left: dict[str, int] = {}
    for surplus in surpluses:
        left[surplus.left.currency] = left.get(surplus.left.currency, 0) + surplus.left.minor
    have = {each.currency: each.minor for each in credit}
    return {currency: min(amount, have.get(currency, 0)) for currency, amount in left.items()}


def plan(
    request: RefundRequest, surpluses: Sequence[Surplus], credit: Sequence[Money]
) -> list[tuple[UUID, int]]:
    """(payment, amount) of each refund to make, oldest payment first.

    Raises `NothingToRefund`, `RefundTooLarge`, `WrongAmount`.
    """
    chosen = [
        each
        for each in surpluses
        if each.left.currency == request.currency and request.payment_id in (None, each.payment_id)
    ]
    most = refundable(chosen, credit).get(request.currency, 0)
    if most <= 0:
        raise NothingToRefund("There is no credit that can be refunded.")
    wanted = most if request.amount is None else request.amount
    if wanted % step_of(request.currency):
        raise WrongAmount(
            f"Refunds in {request.currency} go in steps of {step_of(request.currency)} minor units."
        )
    if wanted > most:
        raise RefundTooLarge(
            "This is more than can be refunded.", refundable={"minor": most, "currency": request.currency}
        )
    parts = ledger.allocate(wanted, ((each.payment_id, each.left.minor) for each in chosen))
    return [(payment_id, part) for payment_id, part in parts.items() if part]


def set_aside(refund: Refund, now: datetime) -> ledger.Entry:
    """The entry with which a refund begins, so that the credit cannot be refunded twice."""
    return _entry(refund, "refund", ledger.set_aside(refund.amount, refund.currency, refund.client_id), now)


def give_up(refund: Refund, status: RefundStatus, reason: str, now: datetime) -> RefundChange:
    """End a refund that Stripe refused, or provably never had, and give the credit back."""
    return _end(replace(refund, failure_reason=reason), status, now)


def observe(refund: Refund, seen: StripeEvent, now: datetime) -> RefundChange:
    """The effect of one observation. Raises a `StripeMismatch`."""
    _check_match(refund, seen)
    status = _STATUS_OF.get(seen.status)
    if status is None or not _is_news(refund, status, seen.created):
        return RefundChange(replace(refund, stripe_refund_id=seen.object_id))
    refund = replace(refund, stripe_refund_id=seen.object_id, seen_at=seen.created)
    if status == "succeeded":
        return _succeed(refund, now)
    if _STEP[status] == _STEP["failed"]:
        return _end(replace(refund, failure_reason=seen.failure_code), status, now)
    return RefundChange(replace(refund, status=status, updated_at=now))


def _check_match(refund: Refund, seen: StripeEvent) -> None:
    """Refuse an event whose account, mode, clinic, intent, amount, currency or known Stripe id is not the refund's."""
    if (seen.account or "") != refund.account:
        raise WrongAccount("The event is of another Stripe account than the refund.")
    if seen.livemode != refund.livemode:
        raise WrongMode("The event and the refund are not both live or both test.")
    if seen.clinic != refund.clinic_id:
        raise WrongClinic("The event names another clinic than the refund's.")
    if seen.payment_intent != refund.intent_id or refund.stripe_refund_id not in (None, seen.object_id):
        raise WrongIntent("The event is of another PaymentIntent, or another refund of it.")
    if (seen.amount, seen.currency) != (refund.amount, refund.currency):
        raise WrongCharge("The event has another amount or currency than the refund.")
    if refund.stripe_refund_id is None and _STEP[refund.status] == _STEP["failed"]:
        raise RefundGivenUp("Stripe has a refund that was given up here.")


def _is_news(refund: Refund, status: RefundStatus, created: datetime) -> bool:
    if _STEP[status] != _STEP[refund.status]:
        return _STEP[status] > _STEP[refund.status]
    # Of the two waiting states the newer one is right; an ended refund stays as it is.
    later = refund.seen_at is None or created >= refund.seen_at
    return _STEP[status] == _STEP["pending"] and status != refund.status and later


def _succeed(refund: Refund, now: datetime) -> RefundChange:
    fact_id = event_id(made_at(refund.id), PaymentRefunded.topic.name, refund.id)
    paid = replace(refund, status="succeeded", refunded_at=now, updated_at=now, fact_id=fact_id)
    entry = _entry(paid, "refund_paid", ledger.pay_out(paid.amount, paid.currency), now)
    return RefundChange(paid, entry, fact_about(paid))


def _end(refund: Refund, status: RefundStatus, now: datetime) -> RefundChange:
    """End the refund without the money. If its success was booked, Stripe has returned it to the clinic's balance."""
    ended = replace(refund, status=status, updated_at=now)
    held_by: ledger.Account = "refund_pending" if refund.refunded_at is None else "stripe"
    postings = ledger.give_back(refund.amount, refund.currency, refund.client_id, held_by)
    return RefundChange(ended, _entry(ended, "refund_returned", postings, now))


def _entry(
    refund: Refund, effect: ledger.Effect, postings: tuple[ledger.Posting, ...], now: datetime
) -> ledger.Entry:
    """An entry of the refund. The call's idempotency key names it, since Stripe's id is not known before the call."""
    return ledger.Entry(
        clinic_id=refund.clinic_id,
        id=ledger.entry_id(refund.id, effect, refund.clinic_id, refund.idempotency_key),
        payment_id=refund.payment_id,
        stripe_object_id=refund.idempotency_key,
        effect=effect,
        booked_at=now,
        postings=postings,
    )


def fact_about(refund: Refund) -> PaymentRefunded:
    """Build `payment.refunded`. The same row always gives the same event."""
    assert refund.refunded_at is not None
    made_before = event_id(refund.refunded_at, PaymentRefunded.topic.name, refund.id)
    return PaymentRefunded(
        id=refund.fact_id or made_before,
        time=refund.refunded_at,
        clinic_id=refund.clinic_id,
        refund_id=refund.id,
        payment_id=refund.payment_id,
        client_id=refund.client_id,
        amount=Money(minor=refund.amount, currency=refund.currency),
        method=refund.method,
    )
