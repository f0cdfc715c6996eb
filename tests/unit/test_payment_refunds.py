"""Refunds as decisions: whatever news come, in any order and number, the books are as the last rung says."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events.stripe import StripeEvent
from contracts.money import Money
from services.chassis.ids import new_id
from services.payment.ledger.domain import Entry
from services.payment.payments.domain import WrongAmount
from services.payment.refunds import domain as refunds
from services.payment.refunds.domain import NothingToRefund, Refund, RefundRequest, RefundTooLarge, Surplus

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
CLIENT = new_id()
LADDER = {"pending": 1, "requires_action": 1, "succeeded": 2, "failed": 3, "canceled": 3}
EUR = "EUR"


def a_refund(amount: int = 2_500) -> Refund:
    return Refund(
        clinic_id=new_id(),
        id=new_id(),
        client_id=CLIENT,
        payment_id=new_id(),
        account="acct_1",
        livemode=False,
        intent_id="pi_1",
        status="created",
        amount=amount,
        currency=EUR,
        created_at=START,
        updated_at=START,
    )


def seen(refund: Refund, status: str | None, second: int, **changes: Any) -> StripeEvent:
    facts: dict[str, Any] = {
        "id": new_id(),
        "time": START + timedelta(seconds=second),
        "created": START + timedelta(seconds=second),
        "stripe_event_id": f"evt_{second}",
        "event_type": "refund.updated",
        "account": refund.account,
        "livemode": refund.livemode,
        "object_id": "re_1",
        "object_type": "refund",
        "payment_intent": refund.intent_id,
        "status": status,
        "amount": refund.amount,
        "currency": refund.currency,
        "clinic": refund.clinic_id,
        "payment_id": refund.payment_id,
        "refund_id": refund.id,
    }
    return StripeEvent(**facts | changes)


def after_events(refund: Refund, news: list[tuple[str | None, int]]) -> tuple[Refund, list[Entry], int]:
    """The refund after the news, all that was booked of it, and how often its success was said."""
    entries, published = [refunds.set_aside(refund, START)], 0
    for status, second in news:
        change = refunds.observe(refund, seen(refund, status, second), START)
        refund, published = change.refund, published + (change.fact is not None)
        entries += [change.entry] if change.entry else []
    return refund, entries, published


def balances(entries: list[Entry]) -> dict[str, int]:
    found: dict[str, int] = {}
    for posting in (each for entry in entries for each in entry.postings):
        found[posting.account] = found.get(posting.account, 0) + posting.amount
    return {account: amount for account, amount in found.items() if amount}


ENDS = {
    0: {"client_credit": 2_500, "refund_pending": -2_500},
    1: {"client_credit": 2_500, "refund_pending": -2_500},
    2: {"client_credit": 2_500, "stripe": -2_500},
    3: {},
}


@given(
    st.lists(
        st.tuples(st.sampled_from([*LADDER, None, "a_state_of_tomorrow"]), st.integers(0, 9)), max_size=8
    )
)
def test_whatever_comes_the_books_are_those_of_the_highest_rung(news: list[tuple[str | None, int]]) -> None:
    refund, entries, published = after_events(a_refund(), news)

    highest = max((LADDER.get(status or "", 0) for status, _ in news), default=0)
    assert LADDER.get(refund.status, 0) == highest
    assert balances(entries) == ENDS[highest]
    assert len({(entry.stripe_object_id, entry.effect) for entry in entries}) == len(entries)
    assert published == (refund.refunded_at is not None) <= 1


@given(st.permutations([("pending", 1), ("requires_action", 2), ("succeeded", 3), ("failed", 4)]), st.data())
def test_any_order_with_any_copies_ends_the_same(news: list[tuple[str, int]], data: st.DataObject) -> None:
    copies = data.draw(st.lists(st.sampled_from(news), max_size=4))

    refund, entries, _ = after_events(a_refund(), [*news, *copies])

    assert refund.status == "failed"
    assert balances(entries) == {}


def test_of_two_states_that_wait_the_newer_is_right() -> None:
    assert after_events(a_refund(), [("requires_action", 5), ("pending", 4)])[0].status == "requires_action"
    assert after_events(a_refund(), [("requires_action", 5), ("pending", 6)])[0].status == "pending"


def surplus(left: int, currency: str = EUR) -> Surplus:
    return Surplus(new_id(), Money(minor=left, currency=currency), None)


@given(
    st.lists(st.integers(1, 1_000), max_size=5),
    st.integers(0, 5_000),
    st.none() | st.integers(1, 5_000),
)
def test_a_plan_never_takes_more_than_each_payment_left_nor_than_there_is(
    left: list[int], credit: int, amount: int | None
) -> None:
    surpluses = [surplus(each) for each in left]
    most = min(sum(left), credit)
    request = RefundRequest(CLIENT, EUR, None, amount)
    kept = [Money(minor=credit, currency=EUR)] if credit else []
    if most == 0 or (amount or 0) > most:
        with pytest.raises((NothingToRefund, RefundTooLarge)):
            refunds.plan(request, surpluses, kept)
        return

    parts = dict(refunds.plan(request, surpluses, kept))

    assert sum(parts.values()) == (most if amount is None else amount)
    assert all(part > 0 for part in parts.values())
    assert all(parts.get(each.payment_id, 0) <= each.left.minor for each in surpluses)


def test_a_wish_reaches_its_currency_and_its_payment_alone() -> None:
    euros, more, dollars = surplus(100), surplus(200), surplus(300, "USD")
    every = [euros, more, dollars]
    credit = [Money(minor=300, currency=EUR), Money(minor=300, currency="USD")]

    def plan(currency: str, payment_id: UUID | None = None) -> list[tuple[UUID, int]]:
        return refunds.plan(RefundRequest(CLIENT, currency, payment_id, None), every, credit)

    assert plan("USD") == [(dollars.payment_id, 300)]
    assert plan(EUR, more.payment_id) == [(more.payment_id, 200)]
    assert plan(EUR) == [(euros.payment_id, 100), (more.payment_id, 200)]


def test_a_refund_goes_in_the_currencys_steps() -> None:
    dinars = Surplus(new_id(), Money(minor=5_120, currency="KWD"), None)

    def plan(amount: int | None) -> list[tuple[UUID, int]]:
        return refunds.plan(RefundRequest(CLIENT, "KWD", None, amount), [dinars], [dinars.left])

    assert plan(5_110) == [(dinars.payment_id, 5_110)]
    assert plan(None) == [(dinars.payment_id, 5_120)]
    with pytest.raises(WrongAmount):
        plan(5_115)


def test_all_that_can_be_refunded_is_in_the_currencys_steps() -> None:
    """Some of the credit was used for a sum that is no step."""
    dinars, credit = (
        Surplus(new_id(), Money(minor=5_120, currency="KWD"), None),
        Money(minor=5_117, currency="KWD"),
    )

    def plan(credit: Money) -> list[tuple[UUID, int]]:
        return refunds.plan(RefundRequest(CLIENT, "KWD", None, None), [dinars], [credit])

    assert refunds.refundable([dinars], [credit]) == {"KWD": 5_110}
    assert plan(credit) == [(dinars.payment_id, 5_110)]
    with pytest.raises(NothingToRefund):
        plan(Money(minor=9, currency="KWD"))
