"""Who may start a payment of what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.payment.payments import domain, starting
from services.payment.payments.starting import PaymentRequest
from services.payment.receivables import domain as receivables_domain
from services.payment.receivables.domain import Clinic, Receivable
from services.payment.stripe import limits
from tests.builders.values import money

CLINIC, CLIENT, INVOICE = uuid4(), uuid4(), UUID(int=1)
NOW = datetime.now(UTC)
OPEN = Clinic(online_payment=True, methods=frozenset({"card"}), currency="EUR")


def a_request(minor: int = 100, currency: str = "EUR", **changes: object) -> PaymentRequest:
    wanted = PaymentRequest(client_id=CLIENT, shares={INVOICE: money(minor, currency)}, kind="card")
    return replace(wanted, **changes)  # type: ignore[arg-type]


def a_payable(due: int = 100, settled: int = 0, client: UUID = CLIENT, status: str = "unpaid") -> Receivable:
    return Receivable(CLINIC, INVOICE, client, due, settled, "EUR", status)


def test_what_is_open_may_be_paid_whole_or_in_part() -> None:
    starting.check_receivables(a_request(100), {INVOICE: a_payable(100)}, NOW)
    starting.check_receivables(a_request(1), {INVOICE: a_payable(100, settled=99)}, NOW)


@pytest.mark.parametrize(
    ("wanted", "payable", "refusal"),
    [
        (a_request(101), a_payable(100), domain.AmountChanged),
        (a_request(100), a_payable(100, settled=1), domain.AmountChanged),
        (a_request(100), a_payable(100, settled=100), domain.AlreadyPaid),
        (a_request(100), a_payable(100, status="void"), domain.AlreadyPaid),
        (a_request(100), a_payable(100, status="unknown"), receivables_domain.ReceivableBeingUpdated),
        (a_request(100, "USD"), a_payable(100), domain.WrongCurrency),
        (a_request(100), a_payable(100, client=uuid4()), receivables_domain.ReceivableNotFound),
    ],
)
def test_what_is_not_open_is_refused_by_name(
    wanted: PaymentRequest, payable: Receivable, refusal: type[DomainError]
) -> None:
    with pytest.raises(refusal):
        starting.check_receivables(wanted, {INVOICE: payable}, NOW)


def test_a_changed_amount_says_what_is_open() -> None:
    with pytest.raises(domain.AmountChanged) as refused:
        starting.check_receivables(a_request(100), {INVOICE: a_payable(100, settled=30)}, NOW)
    assert refused.value.fields["open"] == {"minor": 70, "currency": "EUR"}


def test_a_young_unknown_invoice_may_still_come_and_any_other_may_not() -> None:
    with pytest.raises(receivables_domain.ReceivableUnknown):
        starting.check_receivables(replace(a_request(), shares={new_id(): money(1)}), {}, NOW)
    for old in (uuid4(), UUID(int=0)):
        with pytest.raises(receivables_domain.ReceivableNotFound):
            starting.check_receivables(replace(a_request(), shares={old: money(1)}), {}, NOW)
    with pytest.raises(receivables_domain.ReceivableNotFound):
        starting.check_receivables(
            replace(a_request(), shares={new_id(): money(1)}), {}, NOW + timedelta(days=2)
        )


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        (a_request(0), domain.WrongAmount),
        (a_request(-1), domain.WrongAmount),
        (a_request(49), limits.AmountTooSmall),
        (a_request(29, "GBP"), limits.AmountTooSmall),
        (a_request(17_499, "HUF"), limits.AmountTooSmall),
        (a_request(10**12), limits.AmountTooLarge),
        (a_request(10**8, kind="redirect"), limits.AmountTooLarge),
        (a_request(10**10, "ISK"), limits.AmountTooLarge),
        (a_request(340, "KWD"), limits.AmountTooSmall),
        (a_request(599_900, "MGA"), limits.AmountTooSmall),
        (a_request(199, "ISK"), limits.AmountTooSmall),
        (a_request(1, "CLP"), limits.AmountTooSmall),
        (a_request(1_255, "KWD"), domain.WrongAmount),
        (a_request(100_050, "MGA"), domain.WrongAmount),
        (a_request(1_000, "ISK", kind="redirect"), domain.MethodNotAccepted),
        (a_request(1_000, "BGN"), domain.WrongCurrency),
    ],
)
def test_amounts_that_no_payment_has(wanted: PaymentRequest, refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        starting.check_request(wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        a_request(50),
        a_request(30, "GBP"),
        a_request(10**12 - 1),
        a_request(10**8 - 1, kind="redirect"),
        a_request(10**12 - 1, "IDR"),
        a_request(350, "KWD"),
        a_request(600_000, "MGA"),
        a_request(200, "ISK"),
        a_request(shares={INVOICE: money(20), UUID(int=2): money(30)}),
    ],
)
def test_amounts_that_can_be_charged(wanted: PaymentRequest) -> None:
    starting.check_request(wanted)


def by_credit(minor: int, currency: str, of_it: int | None = None) -> PaymentRequest:
    """A payment of which credit pays all, or so much."""
    kind: Any = "credit" if of_it is None else "card"
    return a_request(minor, currency, kind=kind, credit=money(of_it or minor, currency))


def test_credit_alone_pays_what_cannot_be_charged() -> None:
    """Below Stripe's smallest charge, between its steps, above its largest."""
    for minor, currency in ((1, "EUR"), (1_255, "KWD"), (100_050, "MGA"), (10**12, "EUR")):
        starting.check_request(by_credit(minor, currency))


@pytest.mark.parametrize(
    "wanted",
    [by_credit(12_550, "KWD", 1_255), by_credit(12_555, "KWD", 1_255), by_credit(12_555, "KWD", 1_250)],
)
def test_credit_beside_a_charge_goes_in_its_steps(wanted: PaymentRequest) -> None:
    with pytest.raises(domain.WrongAmount, match="multiple of 10"):
        starting.check_request(wanted)


def test_a_part_by_credit_leaves_a_rest_that_can_be_charged() -> None:
    clinic, payable = replace(OPEN, currency="KWD", least_part=500), replace(a_payable(5_000), currency="KWD")
    starting.check_parts(clinic, by_credit(1_250, "KWD"), {INVOICE: payable})
    with pytest.raises(domain.WrongAmount):
        starting.check_parts(clinic, by_credit(1_255, "KWD"), {INVOICE: payable})
    starting.check_parts(clinic, by_credit(5_005, "KWD"), {INVOICE: replace(payable, due_amount=5_005)})


def test_a_refusal_says_which_amounts_can_be_charged() -> None:
    with pytest.raises(limits.AmountTooSmall) as small:
        starting.check_request(a_request(49))
    with pytest.raises(limits.AmountTooLarge) as large:
        starting.check_request(a_request(10**8, kind="redirect"))
    assert small.value.fields["minimum"] == {"minor": 50, "currency": "EUR"}
    assert large.value.fields["maximum"] == {"minor": 10**8 - 1, "currency": "EUR"}


def test_a_saved_card_pays_what_its_network_takes() -> None:
    starting.check_largest(a_request(10**9, kind="saved"), "visa")
    with pytest.raises(limits.AmountTooLarge):
        starting.check_largest(a_request(10**9, kind="saved"), "amex")
    with pytest.raises(domain.MethodNotAccepted):
        starting.check_largest(a_request(10**6, "COP", kind="saved"), "amex")


@pytest.mark.parametrize(
    ("share", "open_amount", "largest"),
    [(4_999, 5_000, 4_950), (4_951, 5_000, 4_950), (60, 99, None), (10, 40, None), (51, 100, 50)],
)
def test_no_part_leaves_a_rest_that_could_never_be_paid(
    share: int, open_amount: int, largest: int | None
) -> None:
    with pytest.raises(domain.RestTooSmall) as refused:
        starting.check_receivables(a_request(share), {INVOICE: a_payable(open_amount)}, NOW)
    part = {"minor": largest, "currency": "EUR"} if largest else None
    assert refused.value.fields["whole"] == {"minor": open_amount, "currency": "EUR"}
    assert refused.value.fields["largest_part"] == part


@pytest.mark.parametrize(
    ("least", "currency", "share", "refusal"),
    [
        (None, "EUR", 12_500, None),
        (None, "EUR", 12_449, domain.PartsOff),
        (2_000, "EUR", 2_000, None),
        (2_000, "EUR", 1_999, domain.PartTooSmall),
        (20_000, "EUR", 12_500, None),
        (2_000, "USD", 50, None),
        (2_000, "USD", 49, domain.PartTooSmall),
    ],
)
def test_a_part_is_within_what_the_clinic_takes(
    least: int | None, currency: str, share: int, refusal: type[DomainError] | None
) -> None:
    clinic, owed = replace(OPEN, least_part=least), {INVOICE: replace(a_payable(12_500), currency=currency)}
    wanted = a_request(share, currency)
    if refusal is None:
        starting.check_parts(clinic, wanted, owed)
        return
    with pytest.raises(refusal) as refused:
        starting.check_parts(clinic, wanted, owed)
    assert refused.value.fields["invoice_id"] == str(INVOICE)


def test_a_part_that_leaves_a_payable_rest_and_the_last_of_all_rests_may_be_paid() -> None:
    starting.check_receivables(a_request(4_950), {INVOICE: a_payable(5_000)}, NOW)
    other = UUID(int=2)
    together = a_request(shares={INVOICE: money(20), other: money(50)})
    rests = {INVOICE: a_payable(5_000, settled=4_980), other: replace(a_payable(50), id=other)}
    starting.check_request(together)
    starting.check_receivables(together, rests, NOW)


def test_two_currencies_are_not_one_payment() -> None:
    with pytest.raises(domain.WrongCurrency):
        starting.check_request(a_request(shares={INVOICE: money(1), UUID(int=2): money(1, "USD")}))


def test_the_clinics_switches() -> None:
    starting.check_clinic(OPEN, a_request())
    starting.check_clinic(OPEN, a_request(kind="saved"))
    with pytest.raises(receivables_domain.ReceivableUnknown):
        starting.check_clinic(None, a_request())
    with pytest.raises(domain.OnlinePaymentOff):
        starting.check_clinic(replace(OPEN, online_payment=False), a_request())
    with pytest.raises(domain.MethodNotAccepted):
        starting.check_clinic(OPEN, a_request(kind="redirect"))


def test_the_same_choice_finds_the_live_attempt_and_another_choice_does_not() -> None:
    live = starting.begin(
        a_request(), CLINIC, new_id(), account="", livemode=False, method=None, traceparent=None, now=NOW
    )
    assert starting.live_answer(a_request(), [live]) is live
    for other in (
        a_request(99),
        a_request(save=True),
        a_request(kind="redirect"),
        a_request(kind="saved", saved_method_id=uuid4()),
        a_request(shares={UUID(int=2): money(100)}),
    ):
        assert starting.live_answer(other, [live]) is None
    given_free = tuple(replace(share, state="released") for share in live.allocations)
    assert starting.live_answer(a_request(), [replace(live, allocations=given_free)]) is None
    with pytest.raises(domain.PaymentInProgress):
        starting.live_answer(a_request(), [replace(live, status="processing")])
