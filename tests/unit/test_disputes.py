"""Disputes as decisions: whatever order and number events have, the books are those of the balance transactions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events.stripe import BalanceMove, StripeDispute, StripeEvent
from services.chassis.ids import new_id
from services.payment.disputes import domain
from services.payment.disputes.domain import Dispute, DisputeChange, Holding, Kept
from services.payment.ledger.domain import Entry
from services.payment.payments.domain import Allocation, Payment
from services.payment.receivables.domain import Receivable
from services.payment.stripe.mismatches import WrongCharge, WrongMode

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
CLINIC, CLIENT = new_id(), new_id()
FIRST, SECOND = sorted((new_id(), new_id()))
"""Two invoices: the second is the newer."""


def a_payment(
    settled: int = 3000, newer: int = 2000, surplus: int = 1000, status: Any = "succeeded"
) -> Payment:
    parts = {FIRST: settled, SECOND: newer}
    return Payment(
        clinic_id=CLINIC,
        id=new_id(),
        client_id=CLIENT,
        account="acct_1",
        livemode=False,
        status=status,
        amount=settled + newer + surplus,
        currency="EUR",
        kind="card",
        save=False,
        idempotency_key="k",
        created_at=START,
        updated_at=START,
        intent_id="pi_1",
        allocations=tuple(Allocation(each, part, "settled", part) for each, part in parts.items()),
    )


def a_holding(payment: Payment, credit: int | None = None) -> Holding:
    """All that the payment brought is still there."""
    return Holding(
        payment,
        tuple(Kept(share.receivable_id, share.settled_amount) for share in reversed(payment.allocations)),
        payment.surplus,
        payment.surplus if credit is None else credit,
        {
            share.receivable_id: Receivable(
                CLINIC, share.receivable_id, CLIENT, share.settled_amount, share.settled_amount, "EUR", "paid"
            )
            for share in payment.allocations
        },
    )


def a_move(name: str, amount: int, second: int, fee: int = 0, currency: str = "EUR") -> BalanceMove:
    return BalanceMove(
        id=f"txn_{name}", amount=amount, fee=fee, currency=currency, created=START + timedelta(seconds=second)
    )


def seen(payment: Payment, status: str, second: int, *moves: BalanceMove, **changes: Any) -> StripeEvent:
    facts: dict[str, Any] = {
        "id": new_id(),
        "time": START + timedelta(seconds=second),
        "created": START + timedelta(seconds=second),
        "stripe_event_id": f"evt_{second}",
        "event_type": "charge.dispute.updated",
        "account": payment.account,
        "livemode": payment.livemode,
        "object_id": "du_1",
        "object_type": "dispute",
        "payment_intent": payment.intent_id,
        "status": status,
        "amount": 5500,
        "currency": payment.currency,
        "dispute": StripeDispute(charge="ch_1", reason="fraudulent", opened=START, moves=moves),
    }
    return StripeEvent(**facts | changes)


class Case:
    """Disputes of one payment, all that was booked, and the checks that hold after each event."""

    def __init__(self, payment: Payment, reopens: bool = False, credit: int | None = None) -> None:
        self.holding, self.reopens = a_holding(payment, credit), reopens
        self.disputes: dict[str, Dispute] = {}
        self.entries: list[Entry] = []
        self.movements: dict[Any, int] = {}

    def tell(self, event: StripeEvent) -> DisputeChange:
        known = self.disputes.get(event.object_id)
        change = domain.observe(known, self.holding, event, self.reopens, START)
        self.disputes[event.object_id], self.holding = change.dispute, change.holding
        self.entries += change.entries
        for movement in change.movements:
            assert movement.id not in self.movements, "each movement is published once"
            self.movements[movement.id] = movement.amount.minor
        self.check()
        return change

    def check(self) -> None:
        assert len({(entry.stripe_object_id, entry.effect) for entry in self.entries}) == len(self.entries)
        assert all(share.kept >= 0 for share in self.holding.shares)
        assert self.holding.credit >= 0
        for share in self.holding.shares:
            receivable = self.holding.receivables[share.receivable_id]
            assert receivable.returned_amount == share.disputed >= 0
            assert receivable.settled_amount == share.settled - share.reversed
        assert self.balance("disputed") == sum(share.disputed for share in self.holding.shares)
        taken = sum(dispute.taken_amount for dispute in self.disputes.values())
        assert -self.balance("stripe") == taken + self.balance("dispute_fee")

    def balance(self, account: str) -> int:
        return sum(
            posting.amount
            for entry in self.entries
            for posting in entry.postings
            if posting.account == account
        )


def books(case: Case) -> Any:
    return {
        account: case.balance(account)
        for account in ("stripe", "receivable", "client_credit", "disputed", "disputed_rest", "dispute_fee")
    }


def test_a_withdrawal_takes_the_newest_invoice_first_then_credit_then_the_rest() -> None:
    case = Case(a_payment(), credit=400)

    change = case.tell(seen(case.holding.payment, "needs_response", 1, a_move("a", -7000, 1, fee=1500)))

    assert [(each.invoice_id, each.amount.minor) for each in change.movements] == [
        (SECOND, -2000),
        (FIRST, -3000),
    ]
    assert (change.dispute.credit_amount, change.dispute.rest_amount) == (400, 1600)
    assert books(case) == {
        "stripe": -8500,
        "receivable": 0,
        "client_credit": 400,
        "disputed": 5000,
        "disputed_rest": 1600,
        "dispute_fee": 1500,
    }


def test_a_part_takes_the_newest_invoice_alone() -> None:
    case = Case(a_payment())
    change = case.tell(seen(case.holding.payment, "needs_response", 1, a_move("a", -1500, 1)))
    assert [(each.invoice_id, each.amount.minor) for each in change.movements] == [(SECOND, -1500)]


EVENTS = [
    "needs_response",
    "under_review",
    "won",
    "lost",
    "warning_closed",
    "appeal_needs_response",
    "tomorrow",
]


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(EVENTS), st.integers(0, 6), st.integers(0, 9)),
        max_size=12,
    ),
    st.booleans(),
    st.integers(0, 1000),
    st.integers(0, 4000),
)
def test_whatever_comes_the_books_balance_and_nobody_is_overdrawn(
    told: list[tuple[int, str, int, int]], reopens: bool, credit: int, amount: int
) -> None:
    """Two disputes of one charge: withdrawn, given back, withdrawn again, in snapshots of any age."""
    case = Case(a_payment(), reopens, credit)
    for which, status, moved, second in told:
        moves = [
            a_move(f"{which}_{at}", amount if at % 2 else -amount, at, fee=(0, 7, -7)[at % 3])
            for at in range(moved)
        ]
        case.tell(seen(case.holding.payment, status, second, *moves, object_id=f"du_{which}"))


@given(st.permutations(range(5)), st.lists(st.integers(0, 4), max_size=5), st.sampled_from(["won", "lost"]))
def test_any_order_with_any_copies_ends_the_same(order: list[int], copies: list[int], outcome: str) -> None:
    payment = a_payment()
    out, back = a_move("out", -5500, 2, fee=1500), a_move("back", 5500, 4)
    events = [
        seen(payment, "warning_needs_response", 1),
        seen(payment, "needs_response", 2, out),
        seen(payment, "under_review", 3, out),
        seen(payment, outcome, 4, out, *([back] if outcome == "won" else [])),
        seen(payment, outcome, 5, out, *([back] if outcome == "won" else [])),
    ]
    case = Case(payment)

    for at in [*order, *copies]:
        case.tell(events[at])

    assert case.disputes["du_1"].status == outcome
    assert case.balance("stripe") == (-1500 if outcome == "won" else -7000)
    assert case.balance("client_credit") == (0 if outcome == "won" else 500)
    assert sum(case.movements.values()) == (0 if outcome == "won" else -5000)


def test_a_dispute_waits_until_its_payment_is_booked() -> None:
    early = a_payment(status="processing")
    holding = replace(a_holding(early), shares=())
    out = a_move("out", -5500, 1)

    waits = domain.observe(None, holding, seen(early, "needs_response", 1, out), False, START)
    paid = replace(early, status="succeeded")
    change = domain.observe(
        waits.dispute, a_holding(paid), seen(paid, "needs_response", 2, out), False, START
    )

    assert (waits.entries, waits.dispute.waiting) == ((), (out,))
    assert change.dispute.waiting == ()
    assert change.dispute.taken_amount == 5500


def test_what_is_lost_twice_is_due_again_twice_and_won_at_last_is_settled() -> None:
    case = Case(a_payment(surplus=0), reopens=True)
    payment, amount = case.holding.payment, 5000
    out, back = a_move("out", -amount, 1), a_move("back", amount, 3)
    again, at_last = a_move("again", -amount, 4), a_move("last", amount, 6)

    case.tell(seen(payment, "lost", 2, out))
    assert [each.settled_amount for each in case.holding.receivables.values()] == [0, 0]
    case.tell(seen(payment, "won", 3, out, back))
    assert sum(each.settled_amount for each in case.holding.receivables.values()) == amount
    case.tell(seen(payment, "lost", 5, out, back, again))
    assert [each.settled_amount for each in case.holding.receivables.values()] == [0, 0]
    case.tell(seen(payment, "won", 6, out, back, again, at_last))

    assert sum(each.settled_amount for each in case.holding.receivables.values()) == amount
    assert {name: sum_ for name, sum_ in books(case).items() if sum_} == {}


def test_a_withdrawal_that_is_told_after_the_loss_is_due_again_too() -> None:
    case = Case(a_payment(surplus=0), reopens=True)
    case.tell(seen(case.holding.payment, "lost", 1))
    case.tell(seen(case.holding.payment, "lost", 2, a_move("out", -5000, 1)))
    assert case.balance("receivable") == 5000


def test_credit_that_comes_back_after_the_withdrawal_is_taken() -> None:
    """A refund of the surplus was on its way when the bank took the charge, and failed then."""
    case = Case(a_payment(), credit=0)
    out = a_move("out", -6000, 1)
    assert case.tell(seen(case.holding.payment, "needs_response", 1, out)).dispute.rest_amount == 1000
    case.holding = replace(case.holding, credit=1000, came_back=1000)

    change = case.tell(seen(case.holding.payment, "needs_response", 2, out))

    assert (change.dispute.credit_amount, change.dispute.rest_amount) == (1000, 0)
    assert (case.balance("client_credit"), case.balance("disputed_rest")) == (1000, 0)


def test_credit_of_other_money_is_not_taken_for_what_was_used_before() -> None:
    case = Case(a_payment(), credit=0)
    out = a_move("out", -6000, 1)
    case.tell(seen(case.holding.payment, "needs_response", 1, out))
    case.holding = replace(case.holding, credit=1000, came_back=300)

    change = case.tell(seen(case.holding.payment, "lost", 2, out))
    again = case.tell(seen(case.holding.payment, "lost", 3, out))

    assert (change.dispute.credit_amount, change.dispute.rest_amount) == (300, 700)
    assert again.entries == ()
    assert case.holding.credit == 700


def test_a_refund_that_failed_after_the_withdrawal_is_taken_of_its_invoice() -> None:
    case = Case(a_payment(surplus=0))
    whole = case.holding.shares
    case.holding = replace(case.holding, shares=(replace(whole[0], refunded=2000), whole[1]))
    out = a_move("out", -5000, 1)
    first = case.tell(seen(case.holding.payment, "needs_response", 1, out))
    assert (first.dispute.rest_amount, case.balance("disputed")) == (2000, 3000)
    case.holding = replace(
        case.holding, shares=(replace(case.holding.shares[0], refunded=0), case.holding.shares[1])
    )

    change = case.tell(seen(case.holding.payment, "needs_response", 2, out))

    assert [(each.invoice_id, each.amount.minor) for each in change.movements] == [(SECOND, -2000)]
    assert (case.balance("disputed"), case.balance("disputed_rest"), case.balance("stripe")) == (
        5000,
        0,
        -5000,
    )


def test_a_fee_that_is_given_back_and_a_settlement_in_another_currency() -> None:
    case = Case(a_payment())
    out = a_move("out", -6123, 1, fee=1700, currency="USD")
    back = a_move("back", 6001, 2, fee=-1700, currency="USD")

    first = case.tell(seen(case.holding.payment, "needs_response", 1, out))
    assert (first.dispute.taken_amount, first.dispute.fees) == (5500, {"USD": 1700})
    last = case.tell(seen(case.holding.payment, "won", 2, out, back))
    assert (last.dispute.taken_amount, last.dispute.fees) == (0, {})


def test_a_version_is_of_a_change() -> None:
    case = Case(a_payment())
    first = case.tell(seen(case.holding.payment, "needs_response", 1))
    same = case.tell(seen(case.holding.payment, "needs_response", 5))
    older = case.tell(seen(case.holding.payment, "under_review", 2))
    newer = case.tell(seen(case.holding.payment, "under_review", 6))
    assert [each.dispute.version for each in (first, same, older, newer)] == [1, 1, 1, 2]


def test_two_states_of_one_second_are_doubtful_and_other_ones_are_not() -> None:
    case = Case(a_payment())
    known = case.tell(seen(case.holding.payment, "under_review", 3)).dispute

    def doubtful(status: str, second: int) -> bool:
        return domain.is_doubtful(known, seen(case.holding.payment, status, second))

    assert doubtful("won", 3)
    assert not any([doubtful("under_review", 3), doubtful("won", 4), doubtful("tomorrow", 3)])
    assert not domain.is_doubtful(None, seen(case.holding.payment, "won", 3))


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"livemode": True}, WrongMode), ({"currency": "USD"}, WrongCharge), ({"amount": None}, WrongCharge)],
)
def test_a_dispute_that_does_not_fit_its_payment_is_refused(changes: dict[str, Any], error: Any) -> None:
    case = Case(a_payment())
    with pytest.raises(error):
        case.tell(seen(case.holding.payment, "needs_response", 1, **changes))


def test_a_dispute_counts_how_often_the_bank_took_it_up_again() -> None:
    payment = a_payment()
    case = Case(payment)
    counted = [
        case.tell(seen(payment, status, second)).dispute.taken_up
        for second, status in enumerate(
            ["needs_response", "under_review", "lost", "appeal_needs_response", "appeal_under_review", "lost"]
        )
    ]

    assert counted == [0, 0, 0, 1, 1, 1]
