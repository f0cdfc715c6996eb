"""Walk of refunds."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import get_args
from uuid import UUID

from contracts.events.stripe import StripeEvent
from contracts.http.common import PaidWith
from contracts.http.credit import CreditOut, RefundOut
from contracts.vocabulary import PENDING_REFUNDS, UNBEGUN_REFUNDS, RefundStatus
from services.gateway.portal.credit import views
from services.payment.refunds import domain
from services.payment.refunds.domain import Refund, RefundChange, Share
from tests.builders.portal import a_clinic, eur
from tests.tools.money.step import AT, CLIENT, CLINIC, NEW, Step

AMOUNT, OF_INVOICE = 100, 60
AT_STRIPE = [status for status in get_args(RefundStatus) if status not in UNBEGUN_REFUNDS]
"""The statuses in which Stripe may have the refund."""
_CAUSES: dict[str, tuple[str, str]] = {
    "pending": ("Stripe has it, the bank not yet", "Stripe"),
    "requires_action": ("Stripe asks the client by e-mail where to send it", "Stripe"),
    "succeeded": ("the money goes", "Stripe"),
    "failed": ("the bank sends it back, up to 30 days later; or Stripe refuses it", "Stripe"),
    "canceled": ("canceled at Stripe", "staff in the dashboard, Stripe"),
}


def a_refund(status: RefundStatus) -> Refund:
    """Of an invoice in part, and of credit."""
    return Refund(
        clinic_id=CLINIC,
        id=UUID(int=5),
        client_id=CLIENT,
        payment_id=UUID(int=7),
        account="",
        livemode=False,
        intent_id="pi_1",
        status=status,
        amount=AMOUNT,
        currency="EUR",
        created_at=AT,
        updated_at=AT,
        stripe_refund_id="re_1",
        refunded_at=AT if status == "succeeded" else None,
        seen_at=AT,
        shares=(Share(UUID(int=3), OF_INVOICE),),
    )


def refund_steps() -> Iterator[Step]:
    begun = (domain.set_aside(a_refund("created"), AT),)
    yield Step(NEW, "a refund is asked for", "staff", "created", begun)
    yield Step(NEW, "a refund is made in Stripe's dashboard", "staff in the dashboard", "created", begun)
    yield Step(NEW, "a refund above the clinic's sum is asked for", "staff", "awaiting_approval", begun)
    waits = a_refund("awaiting_approval")
    yield Step("awaiting_approval", "approved", "another login or key", "created")
    rejected = domain.give_up(waits, "canceled", domain.NOT_APPROVED, AT)
    yield _changed(waits, "not approved", "staff", rejected)
    yield Step(NEW, "a refund is asked for in a clinic with `undo_hours`", "staff", "held", begun)
    yield Step("awaiting_approval", "approved in a clinic with `undo_hours`", "another login or key", "held")
    yield Step("held", "its time is over", "time", "created")
    undone = domain.give_up(a_refund("held"), "canceled", domain.NOT_DONE, AT)
    yield _changed(a_refund("held"), "undone, changed or disputed", "staff, Stripe", undone)
    credit = replace(a_refund("created"), destination="credit", shares=(Share(UUID(int=3), AMOUNT),))
    yield _changed(credit, "it goes to the client's credit", "staff", domain.become_credit(credit, AT))
    for status in AT_STRIPE:
        for at_stripe in _CAUSES:
            refund = a_refund(status)
            change = domain.observe(refund, _seen(at_stripe), AT)
            if change.refund.status != status:
                yield _changed(refund, *_CAUSES[at_stripe], change)


def _seen(status: str) -> StripeEvent:
    created = AT + timedelta(minutes=1)
    return StripeEvent(
        id=UUID(int=8),
        time=created,
        created=created,
        stripe_event_id="evt_1",
        event_type="refund.updated",
        livemode=False,
        object_id="re_1",
        object_type="refund",
        payment_intent="pi_1",
        status=status,
        amount=AMOUNT,
        currency="EUR",
        clinic=CLINIC,
        refund_id=UUID(int=5),
    )


def _changed(refund: Refund, cause: str, who: str, change: RefundChange) -> Step:
    booking = domain.booking_of(change)
    events = tuple(event for event, _ in booking.events)
    return Step(refund.status, cause, who, change.refund.status, tuple(booking.entries), events)


def holds(status: str) -> str:
    """Where the money of a refund in this state is."""
    if status in UNBEGUN_REFUNDS:
        return "set aside"
    if status in PENDING_REFUNDS:
        return "on its way"
    return "with the client" if status == "succeeded" else "again what it was before"


def words(status: RefundStatus) -> str:
    """The portal's sentence about a refund in this state."""
    refund = RefundOut(
        id=UUID(int=5),
        client_id=CLIENT,
        payment_id=UUID(int=7),
        status=status,
        amount=eur(AMOUNT),
        method=PaidWith(kind="card", brand="visa", last4="4242"),
        failure_reason=None,
        created_at=AT,
        updated_at=AT,
        refunded_at=AT,
    )
    found = CreditOut(balances=[eur(AMOUNT)], refundable=[], payments=[], refunds=[refund])
    shown = views.credit(found, a_clinic())
    assert shown is not None
    return shown.refunds[0].words
