"""Walk of payments and credit."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

from contracts.events.stripe import StripeEvent
from contracts.vocabulary import LIVE_PAYMENTS, OUTSIDE_KINDS, OutsideKind, PaymentStatus
from services.payment.outside import domain as outside
from services.payment.payments import credit_uses, excess, lifecycle
from services.payment.payments.domain import Allocation, Payment
from services.payment.receivables.domain import Receivable
from tests.tools.money.step import AT, CLIENT, CLINIC, NEW, Step

DUE, MORE, CREDIT = 100, 30, 20
INVOICE = UUID(int=3)
OWED = Receivable(CLINIC, INVOICE, CLIENT, DUE, 0, "EUR", "unpaid")
SETTLED = replace(OWED, settled_amount=DUE, status="paid")

_STRIPE: dict[str, tuple[str, str]] = {
    "payment_intent.succeeded": ("the client or the bank confirms", "client, Stripe"),
    "payment_intent.canceled": ("given up: replaced, too old, or ended at Stripe", "client, time, Stripe"),
    "payment_intent.payment_failed": ("the bank refuses; a debit may fail after days", "Stripe"),
    "payment_intent.processing": ("a bank debit begins", "client"),
    "payment_intent.requires_action": ("the bank asks the client", "Stripe"),
}
"""The cause in words, and who may cause it, of each of Stripe's events about an intent."""


def a_payment(status: PaymentStatus, amount: int = DUE) -> Payment:
    state: Any = {"succeeded": "settled", "canceled": "released"}.get(status, "open")
    return Payment(
        clinic_id=CLINIC,
        id=UUID(int=7),
        client_id=CLIENT,
        account="",
        livemode=False,
        status=status,
        amount=amount,
        currency="EUR",
        kind="card",
        save=False,
        idempotency_key="payment-7",
        created_at=AT,
        updated_at=AT,
        allocations=(Allocation(INVOICE, DUE, state, DUE if status == "succeeded" else 0),),
        intent_id="pi_1",
        seen_at=AT,
        succeeded_at=AT if status == "succeeded" else None,
    )


def with_credit(payment: Payment) -> Payment:
    """The payment with a part of its invoice by credit, which it reserves while it is open."""
    [share] = payment.allocations
    split = replace(share, amount=DUE - CREDIT, credit_amount=CREDIT, settled_amount=0)
    return replace(payment, amount=DUE - CREDIT, allocations=(split,))


def payment_steps() -> Iterator[Step]:
    yield Step(NEW, "Pay is pressed; several tabs: the last choice", "client", "created")
    for status in get_args(PaymentStatus):
        for event_type in lifecycle.STATUS_OF:
            yield from _observed(a_payment(status), event_type)
    yield from _credit_steps()
    given_up = lifecycle.cancel(a_payment("created"), AT)
    yield _changed("created", "Stripe refused to make an intent, or has none", "Stripe, time", given_up)
    for kind in OUTSIDE_KINDS:
        booked = _recorded(kind)
        yield Step(
            NEW, "money outside Stripe is recorded", "staff", booked.payment.status, *_booked(booked.booking)
        )
        kept = [outside.Kept(INVOICE, DUE)]
        back = outside.take_back(booked.payment, kept, [SETTLED], AT)
        yield Step(
            "succeeded",
            "recorded money is taken back",
            "staff",
            back.payment.status,
            *_booked(back.booking),
        )
    used = credit_uses.use(
        clinic_id=CLINIC,
        payment_id=UUID(int=7),
        client_id=CLIENT,
        livemode=False,
        currency="EUR",
        parts={INVOICE: DUE},
        now=AT,
    )
    yield Step(NEW, "credit pays alone", "client, staff", used.payment.status, *_booked(used.booking))
    [moved] = excess.take_off(replace(SETTLED, due_amount=DUE - MORE), [excess.Paid(UUID(int=7), DUE)], AT)
    cause = "a document lowers what is due below what was paid"
    yield Step("succeeded", cause, "staff", "succeeded", (moved.entry,), (moved.movement,))


def _credit_steps() -> Iterator[Step]:
    """The steps of a payment with credit that book more than those of one without."""
    begun = with_credit(a_payment("created"))
    reserved = (credit_uses.reserve(begun, AT),)
    yield Step(NEW, "Pay is pressed, with credit", "client", begun.status, reserved)
    for status in LIVE_PAYMENTS:
        for event_type, (cause, who) in _STRIPE.items():
            for step in _observed(with_credit(a_payment(status)), event_type):
                if step.effects not in ((), ("capture",)):
                    yield replace(step, cause=f"{cause}; with credit", who=who)


def cash_step() -> Step:
    """A count of cash: an entry without a payment."""
    entry = outside.count_cash(UUID(int=9), CLINIC, "EUR", DUE, DUE - 1, AT)
    assert entry is not None
    return Step(NEW, "cash is counted, and differs from the books", "staff", NEW, (entry,))


def _observed(payment: Payment, event_type: str) -> Iterator[Step]:
    """The step that a newer event of Stripe's makes, if it makes one. Money above the due becomes credit."""
    created = AT + timedelta(minutes=1)
    seen = StripeEvent(
        id=UUID(int=8),
        time=created,
        created=created,
        stripe_event_id="evt_1",
        event_type=event_type,
        livemode=False,
        object_id="pi_1",
        object_type="payment_intent",
        payment_intent="pi_1",
        amount=payment.amount,
        amount_received=payment.amount + MORE if event_type.endswith("succeeded") else 0,
        currency="EUR",
        clinic=CLINIC,
        payment_id=payment.id,
    )
    change = lifecycle.observe(payment, {INVOICE: OWED}, seen, AT)
    if change.payment.status != payment.status or change.fact:
        yield _changed(payment.status, *_STRIPE[event_type], change)


def _changed(before: str, cause: str, who: str, change: lifecycle.Change) -> Step:
    entries = tuple(change.entries)
    events = (*change.movements, *(each for each in (change.fact, change.update) if each))
    return Step(before, cause, who, change.payment.status, entries, events)


def _recorded(kind: OutsideKind) -> outside.Booked:
    """Money over an invoice, and more: that becomes credit."""
    taken = outside.Taken(CLIENT, kind, DUE + MORE, "EUR", None, AT)
    return outside.record(
        taken,
        {INVOICE: DUE},
        [OWED],
        clinic_id=CLINIC,
        payment_id=UUID(int=7),
        livemode=False,
        now=AT,
    )


def _booked(booking: Any) -> tuple[Any, Any]:
    return tuple(booking.entries), tuple(event for event, _ in booking.events)
