"""Who may start a payment of what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.payment import domain, starting
from services.payment.domain import Clinic, Payable
from services.payment.starting import Wish
from tests.world import money

CLINIC, CLIENT, INVOICE = uuid4(), uuid4(), UUID(int=1)
NOW = datetime.now(UTC)
OPEN = Clinic(online_payment=True, methods=frozenset({"card"}))


def a_wish(minor: int = 100, currency: str = "EUR", **changes: object) -> Wish:
    wish = Wish(client_id=CLIENT, shares={INVOICE: money(minor, currency)}, kind="card")
    return replace(wish, **changes)  # type: ignore[arg-type]


def a_payable(due: int = 100, settled: int = 0, client: UUID = CLIENT, status: str = "unpaid") -> Payable:
    return Payable(CLINIC, INVOICE, client, due, settled, "EUR", status)


def test_what_is_open_may_be_paid_whole_or_in_part() -> None:
    starting.check_payables(a_wish(100), {INVOICE: a_payable(100)}, NOW)
    starting.check_payables(a_wish(1), {INVOICE: a_payable(100, settled=99)}, NOW)


@pytest.mark.parametrize(
    ("wish", "payable", "refusal"),
    [
        (a_wish(101), a_payable(100), domain.AmountChanged),
        (a_wish(100), a_payable(100, settled=1), domain.AmountChanged),
        (a_wish(100), a_payable(100, settled=100), domain.AlreadyPaid),
        (a_wish(100), a_payable(100, status="void"), domain.AlreadyPaid),
        (a_wish(100, "USD"), a_payable(100), domain.WrongCurrency),
        (a_wish(100), a_payable(100, client=uuid4()), domain.PayableNotFound),
    ],
)
def test_what_is_not_open_is_refused_by_name(
    wish: Wish, payable: Payable, refusal: type[DomainError]
) -> None:
    with pytest.raises(refusal):
        starting.check_payables(wish, {INVOICE: payable}, NOW)


def test_a_changed_amount_says_what_is_open() -> None:
    with pytest.raises(domain.AmountChanged) as refused:
        starting.check_payables(a_wish(100), {INVOICE: a_payable(100, settled=30)}, NOW)
    assert refused.value.fields["open"] == {"minor": 70, "currency": "EUR"}


def test_a_young_unknown_invoice_may_still_come_and_any_other_may_not() -> None:
    with pytest.raises(domain.PayableUnknown):
        starting.check_payables(replace(a_wish(), shares={new_id(): money(1)}), {}, NOW)
    for old in (uuid4(), UUID(int=0)):
        with pytest.raises(domain.PayableNotFound):
            starting.check_payables(replace(a_wish(), shares={old: money(1)}), {}, NOW)
    with pytest.raises(domain.PayableNotFound):
        starting.check_payables(replace(a_wish(), shares={new_id(): money(1)}), {}, NOW + timedelta(days=2))


@pytest.mark.parametrize("minor", [0, -1, starting.LARGEST_CHARGE + 1])
def test_amounts_that_no_payment_has(minor: int) -> None:
    with pytest.raises(domain.WrongAmount):
        starting.check_wish(a_wish(minor))


def test_two_currencies_are_not_one_payment() -> None:
    with pytest.raises(domain.WrongCurrency):
        starting.check_wish(a_wish(shares={INVOICE: money(1), UUID(int=2): money(1, "USD")}))


def test_the_clinics_switches() -> None:
    starting.check_clinic(OPEN, a_wish())
    starting.check_clinic(OPEN, a_wish(kind="saved"))
    with pytest.raises(domain.PayableUnknown):
        starting.check_clinic(None, a_wish())
    with pytest.raises(domain.OnlinePaymentOff):
        starting.check_clinic(replace(OPEN, online_payment=False), a_wish())
    with pytest.raises(domain.MethodNotAccepted):
        starting.check_clinic(OPEN, a_wish(kind="redirect"))


def test_the_same_choice_finds_the_live_attempt_and_another_choice_does_not() -> None:
    live = starting.begin(
        a_wish(), CLINIC, new_id(), account="", livemode=False, method=None, traceparent=None, now=NOW
    )
    assert starting.live_answer(a_wish(), [live]) is live
    for other in (
        a_wish(99),
        a_wish(save=True),
        a_wish(kind="redirect"),
        a_wish(kind="saved", saved_method_id=uuid4()),
        a_wish(shares={UUID(int=2): money(100)}),
    ):
        assert starting.live_answer(other, [live]) is None
    given_free = tuple(replace(share, state="released") for share in live.allocations)
    assert starting.live_answer(a_wish(), [replace(live, allocations=given_free)]) is None
    with pytest.raises(domain.PaymentInProgress):
        starting.live_answer(a_wish(), [replace(live, status="processing")])
