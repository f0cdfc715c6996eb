"""Credit beside a charge: how it is divided, and that it is used or given back once and whole, whatever comes."""

from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.currencies import CURRENCIES
from contracts.money import Money
from services.payment.payments import credit_uses, lifecycle, starting
from services.payment.payments.domain import (
    Allocation,
    CreditRestTooSmall,
    Payment,
    WrongAmount,
)
from services.payment.payments.starting import PaymentRequest
from services.payment.stripe.limits import AmountTooLarge, AmountTooSmall
from tests.unit.test_payment_lifecycle import (
    ANY_EVENTS,
    CLIENT,
    CLINIC,
    FIRST,
    NOW,
    SECOND,
    a_payable,
    a_payment,
    run,
    seen,
)


def a_request(currency: str, amounts: list[int], credit: int) -> PaymentRequest:
    return PaymentRequest(
        client_id=CLIENT,
        shares={
            UUID(int=at): Money(minor=each, currency=currency) for at, each in enumerate(amounts, start=1)
        },
        kind="credit" if credit == sum(amounts) else "card",
        credit=Money(minor=credit, currency=currency),
    )


def begun(request: PaymentRequest) -> Payment:
    return starting.begin(
        request, CLINIC, UUID(int=99), account="", livemode=False, method=None, traceparent=None, now=NOW
    )


@given(
    st.sampled_from(sorted(CURRENCIES)),
    st.lists(st.integers(1, 10_000), min_size=1, max_size=40),
    st.integers(1, 400_000),
)
def test_charge_and_credit_are_divided_exactly(code: str, steps: list[int], credit_steps: int) -> None:
    step = CURRENCIES[code].step
    amounts, credit = [each * step for each in steps], credit_steps * step
    assume(credit < sum(amounts))
    request = a_request(code, amounts, credit)
    try:
        starting.check_request(request)
    except CreditRestTooSmall as refused:
        rest = sum(amounts) - credit
        assert rest < CURRENCIES[code].beside_credit(len(amounts))
        most: Any = refused.fields["most"]
        if most is not None:
            starting.check_request(a_request(code, amounts, most["minor"]))
        return
    except AmountTooLarge:
        return

    payment = begun(request)

    assert payment.amount == sum(share.amount for share in payment.allocations) == sum(amounts) - credit
    assert payment.credit == payment.reserved_credit == credit
    assert [share.whole for share in payment.allocations] == amounts
    assert all(share.amount >= step and share.credit_amount >= 0 for share in payment.allocations)
    assert request.same_as(payment)
    assert not a_request(code, amounts, credit - step).same_as(payment) or credit == step


@given(
    ANY_EVENTS,
    st.integers(1, 9999),
    st.integers(0, 9999),
    st.integers(0, 9999),
    st.integers(0, 20_000),
    st.integers(0, 20_000),
    st.integers(0, 9999),
)
def test_whatever_comes_reserved_credit_is_used_or_released_once(
    happened: list[tuple[str, int]],
    charge: int,
    one: int,
    two: int,
    due_one: int,
    due_two: int,
    more: int,
) -> None:
    """Also when the due changed meanwhile, and when another sum was charged than agreed."""
    payment = replace(
        a_payment(charge, 7),
        allocations=(Allocation(FIRST, charge, credit_amount=one), Allocation(SECOND, 7, credit_amount=two)),
    )
    payables = {FIRST: a_payable(FIRST, due_one), SECOND: a_payable(SECOND, due_two)}
    before = dict(payables)

    changes = run(
        payment,
        payables,
        [
            seen(payment, what, second, amount_received=charge + more if what == "succeeded" else 0)
            for what, second in happened
        ],
    )

    entries = [entry for change in changes for entry in change.entries]
    books = Counter[str]()
    for entry in entries:
        for posting in entry.postings:
            books[posting.account] += posting.amount
    after = changes[-1].payment if changes else payment
    assert len({(entry.stripe_object_id, entry.effect) for entry in entries}) == len(entries)
    assert books["credit_reserved"] == one + two - after.reserved_credit, (
        "no more and no less than was reserved"
    )
    used = [change.used for change in changes if change.used]
    assert sum(each.payment.amount for each in used) == after.used_credit
    assert len(used) <= 1
    for key, payable in payables.items():
        settled = payable.settled_amount
        assert 0 <= settled <= max(before[key].open_amount, 0)
        moved = sum(m.amount.minor for change in changes for m in change.movements if m.invoice_id == key)
        assert moved == settled
    if after.status in ("succeeded", "canceled"):
        assert after.reserved_credit == 0
    if after.status != "succeeded":
        assert after.used_credit == 0


def test_a_charge_comes_before_credit_where_less_is_due_by_then() -> None:
    payment = replace(a_payment(60), allocations=(Allocation(FIRST, 60, credit_amount=40),))
    [change] = run(payment, {FIRST: a_payable(FIRST, 75)}, [seen(payment, "succeeded")])

    assert change.used is not None and change.released is not None
    assert [(m.kind, m.amount.minor) for m in change.movements] == [("payment", 60), ("credit", 15)]
    assert change.used.payment.amount == change.payment.used_credit == 15
    assert sum(p.amount for p in change.released.postings if p.account == "client_credit") == -25


def test_a_success_after_a_late_failure_uses_no_credit() -> None:
    """The failure of a debit released it; the intent stays open, and the client may pay with it after all."""
    payment = replace(a_payment(60), allocations=(Allocation(FIRST, 60, credit_amount=40),))
    happened = [(each, at) for at, each in enumerate(("processing", "payment_failed", "succeeded"))]

    changes = run(payment, {FIRST: a_payable(FIRST, 100)}, [seen(payment, *each) for each in happened])

    assert [change.released is not None for change in changes] == [False, True, False]
    assert changes[-1].used is None and changes[-1].payment.status == "succeeded"


def test_giving_up_releases_once() -> None:
    payment = replace(a_payment(60), allocations=(Allocation(FIRST, 60, credit_amount=40),))
    given_up = lifecycle.cancel(payment, NOW)

    assert given_up.released is not None
    assert credit_uses.release(given_up.payment, 0, NOW) is None


@pytest.mark.parametrize(
    ("credit", "refusal"),
    [
        (0, WrongAmount),
        (-1, WrongAmount),
        (101, WrongAmount),
        (51, CreditRestTooSmall),
        (99, CreditRestTooSmall),
    ],
)
def test_credit_that_leaves_no_charge_is_refused(credit: int, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        starting.check_request(a_request("EUR", [100], credit))


@pytest.mark.parametrize("credit", [1, 50, 100])
def test_credit_that_leaves_a_charge_or_nothing_is_taken(credit: int) -> None:
    starting.check_request(a_request("EUR", [100], credit))


def test_a_sum_below_the_smallest_charge_is_paid_by_credit_alone() -> None:
    starting.check_request(a_request("EUR", [30], 30))
    with pytest.raises(AmountTooSmall):
        starting.check_request(replace(a_request("EUR", [30], 30), credit=None, kind="card"))
