"""Walk of disputes: the states by Stripe's clock, and the money by its balance transactions."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import permutations
from typing import get_args
from uuid import UUID

from contracts.events.stripe import BalanceMove, StripeDispute, StripeEvent
from contracts.vocabulary import OPEN_DISPUTES, DisputeStatus
from services.payment.disputes import domain
from services.payment.disputes.domain import Dispute, DisputeChange, Holding, Kept
from tests.tools.money.payments import DUE, INVOICE, MORE, SETTLED, a_payment
from tests.tools.money.step import AT, Step

FEE = 15
TAKEN = DUE + 2 * MORE
"""Of an invoice, of credit, and of what was refunded before."""


def follows_any() -> bool:
    """Whether each state may follow each other one: the newest by Stripe's clock holds."""
    return all(
        _observe(_observe(None, holding(), before, 0).dispute, holding(), after, 1).dispute.status == after
        for before, after in permutations(get_args(DisputeStatus), 2)
    )


def money_steps() -> Iterator[Step]:
    """A dispute and its books, from the inquiry to each end."""
    inquiry = _observe(None, holding(), "warning_needs_response", 0)
    yield _step("—", "the bank asks", "Stripe", inquiry)
    taken = _observe(inquiry.dispute, inquiry.holding, "needs_response", 1, -TAKEN, FEE)
    yield _step("warning_needs_response", "a chargeback: the bank takes the money", "Stripe", taken)
    won = _observe(taken.dispute, taken.holding, "won", 2, TAKEN, -FEE)
    yield _step("needs_response", "won: the money comes back", "Stripe", won)
    lost = _observe(taken.dispute, taken.holding, "lost", 2)
    yield _step("needs_response", "lost: the client is not asked again", "Stripe", lost)
    reopened = _observe(taken.dispute, taken.holding, "lost", 2, reopens=True)
    yield _step("needs_response", "lost, where the clinic's setting makes it due again", "Stripe", reopened)
    again = _observe(reopened.dispute, reopened.holding, "won", 3, TAKEN, -FEE, reopens=True)
    yield _step("lost", "won after all, after it was due again", "Stripe", again)
    back = Holding(taken.holding.payment, taken.holding.shares, MORE, MORE, taken.holding.receivables, MORE)
    rest = _observe(taken.dispute, back, "under_review", 2)
    yield _step("needs_response", "a refund of the payment failed: the bank has that money", "Stripe", rest)


def holding() -> Holding:
    """A payment that settled an invoice, and left some credit."""
    payment = a_payment("succeeded", DUE + 2 * MORE)
    return Holding(payment, (Kept(INVOICE, DUE),), MORE, MORE, {INVOICE: SETTLED})


def _observe(
    known: Dispute | None,
    held: Holding,
    status: str,
    minute: int,
    amount: int = 0,
    fee: int = 0,
    *,
    reopens: bool = False,
) -> DisputeChange:
    created = AT + timedelta(minutes=minute)
    moved = BalanceMove(id=f"txn_{minute}", amount=amount, fee=fee, currency="EUR", created=created)
    moves = (moved,) if amount else ()
    seen = StripeEvent(
        id=UUID(int=8),
        time=created,
        created=created,
        stripe_event_id="evt_1",
        event_type="charge.dispute.updated",
        livemode=False,
        object_id="du_1",
        object_type="dispute",
        payment_intent="pi_1",
        status=status,
        amount=TAKEN,
        currency="EUR",
        dispute=StripeDispute(charge="ch_1", reason="fraudulent", opened=AT, moves=moves),
    )
    return domain.observe(known, held, seen, reopens, created)


def _step(before: str, cause: str, who: str, change: DisputeChange) -> Step:
    events = (*change.movements, *((change.fact,) if change.fact else ()))
    return Step(before, cause, who, change.dispute.status, change.entries, events)


def group(status: str) -> str:
    """The kind of state."""
    if status.startswith("warning_"):
        return "inquiry" if status in OPEN_DISPUTES else "inquiry, ended"
    return "open" if status in OPEN_DISPUTES else "ended"
