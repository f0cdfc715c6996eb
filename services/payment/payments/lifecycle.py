"""How an observation at Stripe changes a payment: pure decisions, monotonic, each effect at most once.

A success is never undone. A cancel ends a payment that has not succeeded. Of the states in between the newest by
Stripe's clock wins, so events may come late, twice and in any order. Of two in one second the rank decides until
Stripe is asked, at the sweep's next run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.events.envelope import Method
from contracts.events.payment import PaymentSettled, PaymentState, PaymentUpdated
from contracts.events.stripe import StripeEvent
from contracts.vocabulary import PaymentStatus
from services.payment.ledger import domain as ledger
from services.payment.payments import credit_uses, identities
from services.payment.payments.bookings import entry_of, movement_of
from services.payment.payments.credit_uses import Used
from services.payment.payments.domain import Allocation, Payment
from services.payment.payments.facts import FACTS, fact_about, update_about
from services.payment.receivables.domain import Receivable
from services.payment.stripe.mismatches import (
    WrongAccount,
    WrongCharge,
    WrongClinic,
    WrongIntent,
    WrongMode,
)
from services.payment.stripe.observations import observed_by

STATUS_OF: Mapping[str, PaymentStatus] = {
    "payment_intent.succeeded": "succeeded",
    "payment_intent.canceled": "canceled",
    "payment_intent.payment_failed": "failed",
    "payment_intent.processing": "processing",
    "payment_intent.requires_action": "requires_action",
}
_RANK: Mapping[PaymentStatus, int] = {"created": 0, "requires_action": 1, "processing": 2, "failed": 3}
_PASSING = frozenset(_RANK) - {"created"}
"""The states that a payment can be in more than once."""
_SUCCESS_EVENTS = frozenset({"charge.succeeded", "payment_intent.succeeded"})


@dataclass(frozen=True, slots=True)
class Change:
    """The effect of an observation: the payment after it, the changed rows, the events to publish. Often nothing.

    `used` is the credit that settled receivables with the charge, and `released` gives reserved credit back.
    """

    payment: Payment
    receivables: tuple[Receivable, ...] = ()
    entry: ledger.Entry | None = None
    used: Used | None = None
    released: ledger.Entry | None = None
    movements: tuple[PaymentSettled, ...] = ()
    fact: PaymentState | None = None
    update: PaymentUpdated | None = None

    @property
    def entries(self) -> list[ledger.Entry]:
        made = (self.entry, self.used.entry if self.used else None, self.released)
        return [entry for entry in made if entry is not None]


def observe(
    payment: Payment, receivables: Mapping[UUID, Receivable], seen: StripeEvent, now: datetime
) -> Change:
    """The effect of one observation, with receivables as they are now. Raises a `StripeMismatch`."""
    check_match(payment, seen)
    intent_id, method = payment.intent_id or seen.payment_intent, _better_method(payment, seen)
    published, seen_at = payment.method, payment.seen_at
    if seen.event_type == "charge.succeeded":
        # An older observation is of an attempt before the success.
        seen_at = max(seen.created, seen_at or seen.created)
    if (intent_id, method, seen_at) != (payment.intent_id, published, payment.seen_at):
        payment = replace(payment, intent_id=intent_id, method=method, seen_at=seen_at)
    status = STATUS_OF.get(seen.event_type)
    if status is None or not _is_news(payment, status, seen.created):
        return Change(payment, update=None if method == published else update_about(payment))
    if status == "succeeded":
        return _capture(payment, receivables, seen, now)
    return _move(payment, status, seen, now)


def check_match(payment: Payment, seen: StripeEvent) -> None:
    """Refuse an event whose account, mode, clinic, intent, currency or customer is not the payment's.

    The amount may differ: the sum that Stripe charged is booked. Raises a `StripeMismatch`.
    """
    if (seen.account or "") != payment.account:
        raise WrongAccount("The event is of another Stripe account than the payment.")
    if seen.livemode != payment.livemode:
        raise WrongMode("The event and the payment are not both live or both test.")
    if seen.clinic is not None and seen.clinic != payment.clinic_id:
        raise WrongClinic("The event names another clinic than the payment's.")
    if payment.intent_id is not None and seen.payment_intent != payment.intent_id:
        raise WrongIntent("The event is of another PaymentIntent than the payment's.")
    if not _charges_as_agreed(payment, seen):
        raise WrongCharge("The event has another currency or customer than the payment, or took no amount.")


def _charges_as_agreed(payment: Payment, seen: StripeEvent) -> bool:
    """Whether currency and customer are as agreed, and a success charged a sum.

    An intent without a customer is accepted: Stripe empties the field when the customer is deleted.
    Another customer is not: somebody changed our intent by hand, and a person must decide whose payment it is.
    Another amount is: the account's owner can change it until the client confirms, and the sum charged is booked.
    """
    taken = STATUS_OF.get(seen.event_type) != "succeeded" or (seen.amount_received or 0) > 0
    return (
        taken
        and seen.currency == payment.currency
        and (None in (payment.customer_id, seen.customer) or seen.customer == payment.customer_id)
    )


def _better_method(payment: Payment, seen: StripeEvent) -> Method | None:
    """The method of the charge that succeeded; before a success, that of the newest attempt."""
    if seen.method is None or seen.event_type in _SUCCESS_EVENTS:
        return seen.method or payment.method
    late = payment.status == "succeeded" or (payment.seen_at and seen.created < payment.seen_at)
    return payment.method if late else seen.method


def _is_news(payment: Payment, status: PaymentStatus, created: datetime) -> bool:
    if payment.status == "succeeded":
        return False
    if status == "succeeded":
        return True
    if payment.status == "canceled":
        return False
    if status == "canceled" or payment.seen_at is None or created > payment.seen_at:
        return True
    if (payment.status, status) == ("processing", "failed"):
        # It would release the invoices of a debit that may have begun after the failure: Stripe is asked first.
        return False
    return created == payment.seen_at and _RANK[status] >= _RANK[payment.status]


def is_doubtful(payment: Payment, seen: StripeEvent) -> bool:
    """Whether Stripe has to be asked which is the newer: the observation, or the state that is known.

    Stripe's clock has whole seconds, and a client can try again within one.
    """
    status = STATUS_OF.get(seen.event_type)
    if status == payment.status or seen.created != payment.seen_at:
        return False
    return payment.status in _PASSING and status in _PASSING


def _move(payment: Payment, status: PaymentStatus, seen: StripeEvent, now: datetime) -> Change:
    if status == payment.status and status != "failed":
        return Change(replace(payment, seen_at=seen.created))
    ends = status == "canceled" or (status == "failed" and payment.status == "processing")
    change: dict[str, Any] = {
        "status": status,
        "failure_code": (seen.decline_code or seen.failure_code) if status == "failed" else None,
        "seen_at": seen.created,
        "allocations": _released(payment.allocations) if ends else payment.allocations,
        # While it is processing the amount cannot change, and the event names the invoices.
        "amount": (seen.amount if status == "processing" else None) or payment.agreed,
        **_counted_declines(payment, status, seen),
    }
    released = credit_uses.release(payment, 0, now) if ends else None
    if status not in FACTS:
        return Change(replace(payment, **change))
    attempt = (seen.attempt or seen.stripe_event_id, change["failure_code"]) if status != "canceled" else ()
    moved = _stated(payment, now, *attempt, **change)
    if moved.fact_id == payment.fact_id:
        # Stripe reports this attempt again: it is published already.
        return Change(replace(payment, **change), released=released)
    return Change(moved, released=released, fact=fact_about(moved))


def _released(allocations: tuple[Allocation, ...]) -> tuple[Allocation, ...]:
    return tuple(
        replace(share, state="released") if share.state == "open" else share for share in allocations
    )


def cancel(payment: Payment, now: datetime, failure_code: str | None = None) -> Change:
    """Cancel a payment without an intent: Stripe refused to make one, or provably has none."""
    given_up = _stated(
        payment,
        now,
        status="canceled",
        failure_code=failure_code,
        amount=payment.agreed,
        allocations=_released(payment.allocations),
    )
    return Change(given_up, released=credit_uses.release(payment, 0, now), fact=fact_about(given_up))


def _capture(
    payment: Payment, receivables: Mapping[UUID, Receivable], seen: StripeEvent, now: datetime
) -> Change:
    """Book the money that Stripe charged: to each receivable at most its open amount now, the rest is credit.

    What is still open then is settled with the credit that is reserved for it. Credit that is not needed is released.
    """
    taken = seen.amount_received
    assert taken is not None, "checked"
    settled = _allocate(taken, payment.allocations, receivables)
    credit = _needed_credit(payment, settled, receivables)
    paid = _stated(
        payment,
        now,
        status="succeeded",
        amount=taken,
        # The charge's event may come later; an intent for cards only was paid by card.
        method=payment.method or (Method(kind="card") if payment.kind == "card" else None),
        failure_code=None,
        succeeded_at=seen.created,
        seen_at=seen.created,
        allocations=tuple(
            replace(
                share,
                state="settled",
                settled_amount=settled[share.receivable_id],
                used_credit_amount=credit.get(share.receivable_id, 0),
            )
            for share in payment.allocations
        ),
    )
    used = credit_uses.use_reserved(paid, credit, now) if credit else None
    assert paid.intent_id is not None, "charged"
    parts = [(receivable_id, part) for receivable_id, part in settled.items() if part]
    movements = [movement_of(paid, receivable_id, "payment", part, now) for receivable_id, part in parts]
    both = {each: part + credit.get(each, 0) for each, part in settled.items()}
    return Change(
        paid,
        receivables=tuple(credit_uses.settle(receivables.values(), both)),
        # An intent has at most one successful charge, so its id names the effect.
        entry=entry_of(
            paid,
            "capture",
            ledger.capture(taken, paid.currency, settled, paid.client_id),
            now,
            paid.intent_id,
            observed_by(seen),
        ),
        used=used,
        released=credit_uses.release(payment, sum(credit.values()), now),
        movements=(*movements, *(used.movements if used else ())),
        fact=fact_about(paid),
    )


def _needed_credit(
    payment: Payment, settled: Mapping[UUID, int], receivables: Mapping[UUID, Receivable]
) -> dict[UUID, int]:
    """The reserved credit that each receivable still needs beside the charge. Released credit is no longer there."""
    parts = {
        share.receivable_id: min(
            share.credit_amount,
            receivables[share.receivable_id].open_amount - settled[share.receivable_id],
        )
        for share in payment.allocations
        if share.state == "open"
    }
    return {receivable_id: part for receivable_id, part in parts.items() if part > 0}


def _allocate(
    taken: int, shares: tuple[Allocation, ...], receivables: Mapping[UUID, Receivable]
) -> dict[UUID, int]:
    """The part of each receivable, oldest first: at most the agreed and the open amount."""
    limits = (
        (share.receivable_id, min(share.amount, receivables[share.receivable_id].open_amount))
        for share in shares
    )
    return ledger.allocate(taken, limits)


def _stated(payment: Payment, now: datetime, *attempt: str | None, **change: Any) -> Payment:
    """The payment changed, with the version and the id of the state event about it."""
    changed = replace(payment, version=payment.version + 1, updated_at=now, **change)
    return replace(changed, fact_id=identities.of_fact(changed, FACTS[changed.status].topic.name, *attempt))


def _counted_declines(payment: Payment, status: PaymentStatus, seen: StripeEvent) -> dict[str, Any]:
    """The payment's fields that count its declines, after an observation of `status`.

    A debit that fails after days is no decline. A decline leaves a failed charge at Stripe, whose id identifies the
    same decline in a second event of Stripe's or from the sweeper.
    """
    again = seen.charge is not None and seen.charge == payment.declined_charge
    if status != "failed" or payment.status == "processing" or again:
        return {}
    return {"declines": payment.declines + 1, "declined_charge": seen.charge}
