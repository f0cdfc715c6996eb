"""Refunds: how much of a client's credit may go back, and how observations change a refund. Pure decisions.

A refund's states have an order: created, then with Stripe (pending, requires_action), succeeded, and last the end
without the money (failed, canceled), which may come days after a success. A state is never followed by an earlier
one, so events may come late, twice and in any order. Amounts are integer minor units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.currencies import step_of
from contracts.events.envelope import Event, Method, event_id
from contracts.events.payment import PaymentRefunded, PaymentSettled
from contracts.events.payment import Share as PublishedShare
from contracts.events.stripe import StripeEvent
from contracts.money import Money
from contracts.vocabulary import OUTSIDE_KINDS, RETURNED_REFUNDS, RefundDestination, RefundPlace, RefundStatus
from services.chassis.errors import DomainError
from services.chassis.ids import Key, made_at
from services.payment.ledger import domain as ledger
from services.payment.payments.domain import Payment, WrongAmount
from services.payment.stripe.mismatches import (
    StripeMismatch,
    WrongAccount,
    WrongCharge,
    WrongClinic,
    WrongIntent,
    WrongMode,
)

_STEP: Mapping[RefundStatus, int] = {
    "awaiting_approval": 0,
    "held": 0,
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

NOT_APPROVED = "not_approved"
"""The reason of a refund that was canceled since nobody approved."""
NOT_DONE = "not_done"
"""The reason of a refund whose held act was undone, canceled, or changed."""
NEVER_BEGUN: Mapping[RefundStatus, str] = {"awaiting_approval": NOT_APPROVED, "held": NOT_DONE}
"""The reason of a refund that is canceled before it began, by its status."""


class ClientNotFound(DomainError):
    code = "client_not_found"
    status = 404


class NothingToRefund(DomainError):
    """There is nothing that can go back."""

    code = "nothing_to_refund"
    status = 409


def nothing_to_refund(payment: Payment) -> NothingToRefund:
    """Why nothing of a payment can be refunded that Stripe has no money of."""
    if payment.kind in OUTSIDE_KINDS:
        return NothingToRefund(
            "The clinic recorded this payment. It is not refunded: take it back by `reverse`."
        )
    if payment.kind == "credit":
        return NothingToRefund("Credit paid this. Credit the invoice, and it is the client's credit again.")
    return NothingToRefund("The payment has taken no money that can be refunded.")


class RefundTooLarge(DomainError):
    """More than is refundable; `refundable` is the limit."""

    code = "refund_too_large"
    status = 409


class RefundGivenUp(StripeMismatch):
    """Stripe has a refund whose money was given back, since it provably had none. A person must decide."""

    code = "stripe_refund_given_up"


@dataclass(frozen=True, slots=True)
class Surplus:
    """A payment's surplus. `left` is neither refunded nor being refunded; `refunded` is."""

    payment_id: UUID
    left: Money
    method: Method | None
    refunded: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a refund that had settled one receivable."""

    receivable_id: UUID
    amount: int


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """A refund request of staff, for one payment or for all in `currency`; `amount` None means all that is left."""

    client_id: UUID
    currency: str
    payment_id: UUID | None
    amount: int | None
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund, with its payment's account and method. `account` '' is the platform's own.

    `fact_id` is the id of its `payment.refunded`; None for one that an earlier release made by another rule.
    `installation` and `signature` are its seal at Stripe; None for a refund of an earlier release.
    `shares` are what it gives back of receivables; the rest of its amount was the client's credit.
    `act_id` is the held act that it was, or is, reserved for; None for a refund that was not held.
    `created_at` is when it began; `asked_at` is set when it was asked for before that, and then held or approved.
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
    destination: RefundDestination = "method"
    shares: tuple[Share, ...] = ()
    made_at: RefundPlace = "clinicpay"
    made_by: UUID | None = None
    approved_by: UUID | None = None
    refund_fee: bool = False
    act_id: UUID | None = None
    asked_at: datetime | None = None

    @property
    def key(self) -> Key:
        return self.clinic_id, self.id

    @property
    def parts(self) -> dict[UUID, int]:
        """The amount that it gives back of each receivable."""
        return {share.receivable_id: share.amount for share in self.shares}

    @property
    def receivable_keys(self) -> set[Key]:
        return {(self.clinic_id, share.receivable_id) for share in self.shares}

    @property
    def idempotency_key(self) -> str:
        return key_of(self.id)


@dataclass(frozen=True, slots=True)
class RefundChange:
    """The effect of an observation: the refund after it, the booking, the events to publish. Often nothing."""

    refund: Refund
    entry: ledger.Entry | None = None
    fact: PaymentRefunded | None = None
    movements: tuple[PaymentSettled, ...] = ()

    @property
    def gives_back(self) -> bool:
        """Whether the money is again what it was before the refund."""
        return self.entry is not None and self.entry.effect == "refund_returned"


def booking_of(change: RefundChange, cause: StripeEvent | None = None) -> ledger.Booking:
    """The entries, movements and events of a change."""
    events: list[Event] = [*change.movements]
    if change.fact is not None:
        events.append(change.fact)
    return ledger.Booking(
        entries=[change.entry] if change.entry else [],
        movements=change.movements,
        events=[(event, cause) for event in events],
    )


def key_of(refund_id: UUID) -> str:
    return f"refund-{refund_id}"


def refundable(surpluses: Sequence[Surplus], credit: Sequence[Money]) -> dict[str, int]:
    """How much of each currency can be refunded: the payments' surpluses, at most the credit, in Stripe's steps."""
    left: dict[str, int] = {}
    for surplus in surpluses:
        left[surplus.left.currency] = left.get(surplus.left.currency, 0) + surplus.left.minor
    have = {each.currency: each.minor for each in credit}
    most = {currency: min(amount, have.get(currency, 0)) for currency, amount in left.items()}
    return {currency: amount - amount % step_of(currency) for currency, amount in most.items()}


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
    """The entry with which a refund begins, so that no money can be refunded twice."""
    postings = ledger.set_aside(refund.amount, refund.currency, refund.client_id, refund.parts)
    return _entry(refund, "refund", postings, now)


def become_credit(refund: Refund, now: datetime) -> RefundChange:
    """The end of a refund that goes to its client's credit: nobody has to be asked."""
    paid = _paid(refund, now)
    postings = ledger.pay_as_credit(paid.amount, paid.currency, paid.client_id)
    entry = _entry(paid, "refund_credited", postings, now)
    return RefundChange(paid, entry, fact_about(paid), _movements(paid, -1, now))


def give_up(refund: Refund, status: RefundStatus, reason: str, now: datetime) -> RefundChange:
    """End a refund that Stripe refused, or provably never had, and give its money back."""
    return _end(replace(refund, failure_reason=reason), status, now)


def observe(refund: Refund, seen: StripeEvent, now: datetime) -> RefundChange:
    """The effect of one observation. Raises a `StripeMismatch`."""
    _check_match(refund, seen)
    status = _STATUS_OF.get(seen.status)
    if status is None or not _is_news(refund, status, seen.created):
        confirmed_at = max(seen.created, refund.seen_at or seen.created)
        seen_at = confirmed_at if status == refund.status else refund.seen_at
        return RefundChange(replace(refund, stripe_refund_id=seen.object_id, seen_at=seen_at))
    refund = replace(refund, stripe_refund_id=seen.object_id, seen_at=seen.created)
    if status == "succeeded":
        return _succeed(refund, now)
    if _STEP[status] == _STEP["failed"]:
        return _end(replace(refund, failure_reason=seen.failure_code), status, now)
    return RefundChange(replace(refund, status=status, updated_at=now))


def id_at_stripe(payment_id: UUID, stripe_refund_id: str) -> UUID:
    """The id of a refund that was made at Stripe: the same whenever it is booked."""
    return event_id(made_at(payment_id), "refund", stripe_refund_id)


def may_send(seen: StripeEvent) -> bool:
    """Whether the money of the refund went, or is on its way."""
    return _STEP[_STATUS_OF.get(seen.status, "failed")] < _STEP["failed"]


def ends_without_money(seen: StripeEvent) -> bool:
    """Whether the observation ends a refund without sending the money."""
    return seen.status in RETURNED_REFUNDS


def is_doubtful(refund: Refund, seen: StripeEvent) -> bool:
    """Whether Stripe has to be asked which of two waiting states is the newer. Its clock has whole seconds."""
    status = _STATUS_OF.get(seen.status)
    if status is None or status == refund.status or seen.created != refund.seen_at:
        return False
    return _STEP[status] == _STEP[refund.status] == _STEP["pending"]


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
    paid = _paid(refund, now)
    entry = _entry(paid, "refund_paid", ledger.pay_out(paid.amount, paid.currency), now)
    return RefundChange(paid, entry, fact_about(paid), _movements(paid, -1, now))


def _paid(refund: Refund, now: datetime) -> Refund:
    fact_id = event_id(made_at(refund.id), PaymentRefunded.topic.name, refund.id)
    return replace(refund, status="succeeded", refunded_at=now, updated_at=now, fact_id=fact_id)


def _end(refund: Refund, status: RefundStatus, now: datetime) -> RefundChange:
    """End the refund without the money. If its success was booked, Stripe has returned it to the clinic's balance."""
    ended = replace(refund, status=status, updated_at=now)
    held_by: ledger.Account = "refund_pending" if refund.refunded_at is None else "stripe"
    postings = ledger.give_back(refund.amount, refund.currency, refund.client_id, held_by, refund.parts)
    back = _movements(ended, 1, now) if refund.refunded_at is not None else ()
    return RefundChange(ended, _entry(ended, "refund_returned", postings, now), movements=back)


def _movements(refund: Refund, sign: int, now: datetime) -> tuple[PaymentSettled, ...]:
    """The refund's movement on each receivable: below zero when its money went, above when it came back.

    Each has its cause, since an invoice tells its movements apart by cause and kind.
    """
    cause = refund.idempotency_key if sign < 0 else f"{refund.idempotency_key}:returned"
    return tuple(_movement(refund, share, sign, cause, now) for share in refund.shares)


def _movement(refund: Refund, share: Share, sign: int, cause: str, now: datetime) -> PaymentSettled:
    topic = PaymentSettled.topic.name
    movement_id = event_id(made_at(refund.id), topic, cause, share.receivable_id, "refund")
    return PaymentSettled(
        id=movement_id,
        time=now,
        clinic_id=refund.clinic_id,
        movement_id=movement_id,
        invoice_id=share.receivable_id,
        payment_id=refund.payment_id,
        kind="refund",
        amount=Money(minor=sign * share.amount, currency=refund.currency),
        method=refund.method if refund.destination == "method" else None,
        stripe_object_id=cause,
    )


def _entry(
    refund: Refund, effect: ledger.Effect, postings: tuple[ledger.Posting, ...], now: datetime
) -> ledger.Entry:
    """An entry of the refund. The call's idempotency key names it, since Stripe's id is not known before the call."""
    return ledger.entry_of(
        refund.clinic_id, refund.id, refund.payment_id, effect, refund.idempotency_key, postings, now
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
        destination=refund.destination,
        invoices=tuple(
            PublishedShare(
                invoice_id=share.receivable_id, amount=Money(minor=share.amount, currency=refund.currency)
            )
            for share in refund.shares
        ),
    )
