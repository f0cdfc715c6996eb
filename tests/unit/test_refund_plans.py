"""A refund of a payment as decisions: never more than is left of each part, and books that follow whatever comes."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.ids import new_id
from services.payment.payments.domain import WrongAmount
from services.payment.payments.excess import Paid
from services.payment.receivables.domain import Receivable
from services.payment.refunds import changes
from services.payment.refunds import domain as refunds
from services.payment.refunds.domain import NothingToRefund, Refund, RefundTooLarge, Share
from services.payment.refunds.planning import (
    PaymentRefundRequest,
    Plan,
    Refundable,
    UnclearRefund,
    plan_payment,
)
from tests.unit.test_payment_refunds import a_refund, after_events, balances, seen

NOW = datetime(2026, 11, 29, tzinfo=UTC)
NEWEST = UUID(int=9)


def left(surplus: int, *kept: int, currency: str = "EUR") -> Refundable:
    parts = {UUID(int=100 - at): amount for at, amount in enumerate(kept)}
    return Refundable(new_id(), currency, None, surplus, parts, 0)


def plan(of: Refundable, amount: int | None = None, *, to_credit: bool = False, **split: int) -> Plan:
    parts = {UUID(int=int(name[1:])): part for name, part in split.items()} or None
    wanted = PaymentRefundRequest(of.payment_id, amount, parts, "credit" if to_credit else "method")
    return plan_payment(wanted, of)


@given(
    st.integers(0, 500),
    st.lists(st.integers(1, 500), max_size=4),
    st.none() | st.integers(1, 2_500),
    st.booleans(),
)
def test_a_plan_takes_the_surplus_first_and_never_more_than_is_left(
    surplus: int, kept: list[int], amount: int | None, to_credit: bool
) -> None:
    of = left(surplus, *kept)
    most = sum(kept) + (0 if to_credit else surplus)
    if most == 0 or (amount or 0) > most:
        with pytest.raises((NothingToRefund, RefundTooLarge)):
            plan(of, amount, to_credit=to_credit)
        return

    made = plan(of, amount, to_credit=to_credit)

    shares = {share.receivable_id: share.amount for share in made.shares}
    assert made.amount == (most if amount is None else amount)
    assert made.amount - sum(shares.values()) == (0 if to_credit else min(surplus, made.amount))
    assert all(0 < part <= of.kept[each] for each, part in shares.items())
    # Newest first: a part is touched only once all newer ones are gone.
    for newer, older in zip(of.kept, list(of.kept)[1:], strict=False):
        assert older not in shares or shares[newer] == of.kept[newer]


def test_a_split_is_taken_as_it_is() -> None:
    of = left(300, 100, 200)

    assert plan(of, _100=40, _99=60) == Plan(100, (Share(UUID(int=100), 40), Share(UUID(int=99), 60)))
    assert plan(of, 40, _100=40).amount == 40
    with pytest.raises(UnclearRefund):
        plan(of, 50, _100=40)
    with pytest.raises(RefundTooLarge) as refused:
        plan(of, _100=101)
    assert refused.value.fields["refundable"] == {"minor": 100, "currency": "EUR"}
    with pytest.raises(RefundTooLarge):
        plan(of, _7=1)
    with pytest.raises(WrongAmount):
        plan(left(0, 1_000, currency="KWD"), _100=15)


def test_all_that_is_left_goes_back_in_the_currencys_steps_and_to_credit_whole() -> None:
    of = left(0, 1_005, currency="KWD")

    assert (plan(of).amount, plan(of, to_credit=True).amount) == (1_000, 1_005)
    assert plan(of, to_credit=True, _100=7).amount == 7
    with pytest.raises(NothingToRefund):
        plan(left(0, 9, currency="KWD"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pending", "requires_action", "succeeded", "failed", "canceled"]),
            st.integers(0, 9),
        ),
        max_size=8,
    )
)
def test_whatever_comes_a_share_is_refunded_as_the_highest_rung_says(news: list[tuple[str, int]]) -> None:
    refund, moved = an_invoice_refund(), list[int]()
    _, entries, _ = after_events(refund, [*news])
    for status, second in news:
        change = refunds.observe(refund, seen(refund, status, second), NOW)
        refund = change.refund
        moved += [movement.amount.minor for movement in change.movements]
    back = refund.status in ("failed", "canceled")
    assert balances(entries).get("refunded", 0) == (0 if back else 2_000)
    assert balances(entries).get("client_credit", 0) == (0 if back else 500)
    assert sum(moved) == (-2_000 if refund.status == "succeeded" else 0)
    assert len(moved) == (refund.refunded_at is not None) + (refund.refunded_at is not None and back)


def an_invoice_refund() -> Refund:
    """€20 of an invoice, and €5 of credit."""
    return replace(a_refund(2_500), shares=(Share(NEWEST, 2_000),))


@given(st.integers(0, 3_000), st.integers(0, 2_000), st.integers(0, 1_500))
def test_what_comes_back_settles_again_and_the_rest_is_credit(
    due: int, other_kept: int, own_kept: int
) -> None:
    """Two payments of one invoice; of the newer one 2,000 went back, and fail to."""
    refund = an_invoice_refund()
    kept = [Paid(refund.payment_id, own_kept), Paid(UUID(int=1), other_kept)]
    settled = 2_000 + own_kept + other_kept
    # The excess of before was moved already: it is kept at most up to what is due.
    due = max(due, own_kept + other_kept)
    owed = Receivable(refund.clinic_id, NEWEST, refund.client_id, due, settled, "EUR", "paid", None, 2_000, 3)
    change = refunds.give_up(refund, "failed", "expired_or_canceled_card", NOW)

    after, moved = changes.give_back([change], {owed.key: owed}, {owed.key: kept}, NOW)

    too_much = max(0, settled - due)
    assert sum(each.amount for each in moved) == too_much
    assert (after[owed.key].returned_amount, after[owed.key].settled_amount) == (0, settled - too_much)
    assert after[owed.key].excess_amount == 0
    of = {each.payment_id: each.amount for each in moved}
    assert of.get(refund.payment_id, 0) <= own_kept + 2_000
    assert of.get(UUID(int=1), 0) <= other_kept


def test_a_refund_to_credit_ends_at_once_and_books_each_part() -> None:
    whole = replace(an_invoice_refund(), amount=2_000, destination="credit")

    change = refunds.become_credit(whole, NOW)

    assert change.refund.status == "succeeded"
    assert change.entry is not None
    assert balances([refunds.set_aside(whole, NOW), change.entry]) == {
        "refunded": 2_000,
        "client_credit": -2_000,
    }
    assert [(each.kind, each.amount.minor, each.method) for each in change.movements] == [
        ("refund", -2_000, None)
    ]
    assert change.fact is not None
    assert change.fact.destination == "credit"
