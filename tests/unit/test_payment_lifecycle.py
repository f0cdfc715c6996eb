"""The state machine of a payment, under every order, number and mix of what Stripe may tell."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events.envelope import Method, event_id
from contracts.events.payment import PaymentFailed, PaymentSucceeded
from contracts.events.stripe import StripeEvent
from services.payment.ledger import domain as ledger
from services.payment.payments import lifecycle
from services.payment.payments.domain import Allocation, Payment
from services.payment.payments.facts import fact_about, update_about
from services.payment.payments.lifecycle import Change
from services.payment.receivables.domain import Receivable
from services.payment.stripe import mismatches

CLINIC, CLIENT = uuid4(), uuid4()
FIRST, SECOND = UUID(int=1), UUID(int=2)
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NOW = START + timedelta(hours=1)
Payables = dict[UUID, Receivable]


def a_payable(payable_id: UUID, due: int, settled: int = 0, status: str = "unpaid") -> Receivable:
    return Receivable(CLINIC, payable_id, CLIENT, due, settled, "EUR", status)


def a_payment(*amounts: int) -> Payment:
    shares = tuple(
        Allocation(payable_id, amount) for payable_id, amount in zip((FIRST, SECOND), amounts, strict=False)
    )
    return Payment(
        clinic_id=CLINIC,
        id=UUID(int=7),
        client_id=CLIENT,
        account="acct_1",
        livemode=False,
        status="created",
        amount=sum(amounts),
        currency="EUR",
        kind="card",
        save=False,
        idempotency_key="payment-7",
        created_at=START,
        updated_at=START,
        allocations=shares,
        intent_id="pi_1",
    )


def seen(payment: Payment, what: str, second: int = 0, **changes: Any) -> StripeEvent:
    created = START + timedelta(seconds=second)
    facts: dict[str, object] = {
        "id": event_id(created, what, second),
        "time": created,
        "stripe_event_id": f"evt_{what}_{second}",
        "event_type": what if "." in what else f"payment_intent.{what}",
        "created": created,
        "account": payment.account,
        "livemode": False,
        "object_id": "pi_1",
        "object_type": "payment_intent",
        "payment_intent": "pi_1",
        "amount": payment.amount,
        "amount_received": payment.amount if what == "succeeded" else 0,
        "currency": "EUR",
        "clinic": CLINIC,
        "payment_id": payment.id,
        "decline_code": "insufficient_funds" if what == "payment_failed" else None,
    }
    return StripeEvent.model_validate(facts | changes)


def run(payment: Payment, payables: Payables, events: Sequence[StripeEvent]) -> list[Change]:
    """Apply events one after the other, as batches do."""
    changes = []
    for event in events:
        change = lifecycle.observe(payment, payables, event, NOW)
        payment = change.payment
        payables.update({payable.id: payable for payable in change.receivables})
        changes.append(change)
    return changes


EVENTS = ["succeeded", "canceled", "payment_failed", "processing", "requires_action", "charge.succeeded"]
ANY_EVENTS = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 5)), max_size=12)


@given(ANY_EVENTS, st.integers(1, 9999), st.integers(1, 9999), st.integers(0, 12000), st.integers(0, 12000))
def test_whatever_comes_money_is_booked_once_and_whole(
    happened: list[tuple[str, int]], one: int, two: int, due_one: int, due_two: int
) -> None:
    payment = a_payment(one, two)
    payables = {FIRST: a_payable(FIRST, due_one), SECOND: a_payable(SECOND, due_two)}

    changes = run(payment, payables, [seen(payment, what, second) for what, second in happened])

    captures = [change.entry for change in changes if change.entry]
    assert len(captures) == any(what == "succeeded" for what, _ in happened)
    for entry in captures:
        assert ledger.unbalanced(entry.postings) == {}
        assert sum(p.amount for p in entry.postings if p.account == "stripe") == payment.amount
    settled = sum(movement.amount.minor for change in changes for movement in change.movements)
    assert settled == sum(payable.settled_amount for payable in payables.values())
    assert all(payable.settled_amount <= payable.due_amount for payable in payables.values())
    if captures:
        assert settled == min(one, due_one) + min(two, due_two)
        assert changes[-1].payment.surplus == payment.amount - settled


@given(ANY_EVENTS)
def test_a_success_is_never_undone_and_each_fact_has_its_own_version(happened: list[tuple[str, int]]) -> None:
    payment = a_payment(100)
    changes = run(
        payment, {FIRST: a_payable(FIRST, 100)}, [seen(payment, what, second) for what, second in happened]
    )

    statuses = [change.payment.status for change in changes]
    if "succeeded" in statuses:
        assert set(statuses[statuses.index("succeeded") :]) == {"succeeded"}
    facts = [change.fact for change in changes if change.fact]
    assert [fact.version for fact in facts] == list(range(1, len(facts) + 1))
    assert len({fact.id for fact in facts}) == len(facts)
    assert sum(isinstance(fact, PaymentSucceeded) for fact in facts) <= 1


@given(st.permutations(["payment_failed", "requires_action", "processing", "succeeded"]))
def test_every_order_ends_in_the_success(order: list[str]) -> None:
    payment = a_payment(100)
    times = {"requires_action": 1, "payment_failed": 2, "processing": 3, "succeeded": 4}
    changes = run(
        payment, {FIRST: a_payable(FIRST, 100)}, [seen(payment, what, times[what]) for what in order]
    )
    assert changes[-1].payment.status == "succeeded"
    assert changes[-1].payment.failure_code is None


def test_a_decline_keeps_the_reservation_and_says_failed_once_per_attempt() -> None:
    payment = a_payment(100)
    first, second = seen(payment, "payment_failed", 1), seen(payment, "payment_failed", 9)

    changes = run(payment, {FIRST: a_payable(FIRST, 100)}, [first, second])

    assert [type(change.fact) for change in changes] == [PaymentFailed, PaymentFailed]
    assert changes[-1].payment.allocations[0].state == "open"
    assert changes[-1].payment.failure_code == "insufficient_funds"


@pytest.mark.parametrize(
    ("history", "declines"),
    [
        ("payment_failed/1/a", 1),
        ("payment_failed/1/a payment_failed/9/b", 2),
        ("payment_failed/1/a payment_failed/1/b", 2),
        ("payment_failed/1/ payment_failed/9/", 2),
        ("payment_failed/1/a payment_failed/1/a", 1),
        ("payment_failed/1/a payment_failed/9/a", 1),
        ("payment_failed/9/a payment_failed/1/b", 1),
        ("requires_action/1/ payment_failed/2/a", 1),
        ("payment_failed/1/a succeeded/2/", 1),
        ("payment_failed/1/a canceled/2/", 1),
        ("processing/1/", 0),
        ("processing/1/ payment_failed/2/a", 0),
        ("requires_action/1/", 0),
        ("succeeded/1/", 0),
        ("canceled/1/", 0),
        ("canceled/1/ payment_failed/2/a", 0),
    ],
)
def test_only_what_a_bank_declined_is_counted_and_once(history: str, declines: int) -> None:
    """Each piece of news: what, the second, and the failed charge that it names."""
    payment = a_payment(100)
    news = [each.split("/") for each in history.split()]
    events = [seen(payment, what, int(second), charge=charge or None) for what, second, charge in news]
    changes = run(payment, {FIRST: a_payable(FIRST, 100)}, events)
    assert changes[-1].payment.declines == declines


def test_a_late_failure_of_an_earlier_attempt_is_no_news() -> None:
    payment = a_payment(100)
    changes = run(
        payment,
        {FIRST: a_payable(FIRST, 100)},
        [seen(payment, "requires_action", 5), seen(payment, "payment_failed", 4)],
    )
    assert changes[-1].payment.status == "requires_action"
    assert changes[-1].fact is None


def test_a_delayed_method_that_fails_releases_its_payables() -> None:
    payment = a_payment(100)
    changes = run(
        payment,
        {FIRST: a_payable(FIRST, 100)},
        [seen(payment, "processing", 1), seen(payment, "payment_failed", 2)],
    )
    assert changes[-1].payment.status == "failed"
    assert changes[-1].payment.allocations[0].state == "released"


@pytest.mark.parametrize("order", [["processing", "payment_failed"], ["payment_failed", "processing"]])
def test_a_debit_that_began_in_the_second_of_a_failure_keeps_its_payables_until_stripe_is_asked(
    order: list[str],
) -> None:
    payables = {FIRST: a_payable(FIRST, 100)}
    first, second = (seen(a_payment(100), what, 1) for what in order)
    known = run(a_payment(100), payables, [first])[-1].payment

    assert not lifecycle.is_doubtful(a_payment(100), first)
    assert not lifecycle.is_doubtful(known, first)
    assert lifecycle.is_doubtful(known, second)
    [after] = run(known, payables, [second])
    assert (after.payment.status, after.payment.allocations[0].state) == (known.status, "open")


def test_a_confirmed_cancel_releases() -> None:
    payment = a_payment(60, 40)
    (change,) = run(payment, {}, [seen(payment, "canceled")])
    assert {share.state for share in change.payment.allocations} == {"released"}
    assert change.fact is not None
    assert change.fact.status == "canceled"


def test_what_came_above_the_open_amount_is_the_clients_credit() -> None:
    payment = a_payment(100, 50)
    payables = {FIRST: a_payable(FIRST, 100, settled=70), SECOND: a_payable(SECOND, 50, status="void")}

    (change,) = run(payment, payables, [seen(payment, "succeeded")])

    assert change.entry is not None
    assert [(p.account, p.amount) for p in change.entry.postings] == [
        ("stripe", 150),
        ("receivable", -30),
        ("client_credit", -120),
    ]
    assert change.entry.postings[-1].client_id == CLIENT
    assert [movement.amount.minor for movement in change.movements] == [30]
    assert change.fact is not None
    assert change.fact.surplus is not None
    assert change.fact.surplus.minor == 120
    assert [share.amount.minor for share in change.fact.invoices] == [30]


def test_the_method_of_the_charge_is_told_with_the_success() -> None:
    payment = a_payment(100)
    card = Method(kind="card", brand="visa", last4="4242")
    charge = seen(payment, "charge.succeeded", object_id="ch_1", object_type="charge", method=card)

    changes = run(payment, {FIRST: a_payable(FIRST, 100)}, [charge, seen(payment, "succeeded")])

    assert changes[0].fact is None
    assert changes[1].movements[0].method == card
    assert changes[1].fact is not None
    assert changes[1].fact.method == card


CARD = Method(kind="card", brand="visa", last4="4242")
DECLINED = Method(kind="card", brand="mastercard", last4="0002")


@given(st.permutations(["payment_failed", "charge.succeeded", "succeeded", "succeeded"]), st.integers(0, 100))
def test_however_late_its_charge_comes_it_is_told_what_was_paid_with_and_at_most_once(
    order: list[str], due: int
) -> None:
    """Nor is the card of a declined attempt ever left."""
    payment = a_payment(100)
    methods = {"charge.succeeded": CARD, "payment_failed": DECLINED, "succeeded": None}
    times = {"payment_failed": 1, "charge.succeeded": 3, "succeeded": 3}
    payables = {FIRST: a_payable(FIRST, due)}

    changes = run(
        payment, payables, [seen(payment, what, times[what], method=methods[what]) for what in order]
    )

    (published,) = [change.fact for change in changes if isinstance(change.fact, PaymentSucceeded)]
    updates = [change.update for change in changes if change.update]
    after = changes[-1].payment
    paid_first = order.index("succeeded") < order.index("charge.succeeded")
    assert after.method == CARD
    assert published.method == CARD or paid_first
    assert len(updates) == (1 if paid_first and due else 0)
    for update in updates:
        assert update == update_about(after)
        assert (update.method, update.invoices) == (CARD, (FIRST,))
        assert (after.version, after.updated_at) == (published.version, published.time)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"account": None}, mismatches.WrongAccount),
        ({"account": "acct_2"}, mismatches.WrongAccount),
        ({"livemode": True}, mismatches.WrongMode),
        ({"clinic": uuid4()}, mismatches.WrongClinic),
        ({"payment_intent": "pi_2", "object_id": "pi_2"}, mismatches.WrongIntent),
        ({"amount_received": 0}, mismatches.WrongCharge),
        ({"amount_received": None}, mismatches.WrongCharge),
        ({"currency": "USD"}, mismatches.WrongCharge),
    ],
)
def test_a_success_that_does_not_fit_is_refused_by_name(
    changes: dict[str, Any], refusal: type[mismatches.StripeMismatch]
) -> None:
    payment = a_payment(100)
    with pytest.raises(refusal):
        lifecycle.observe(payment, {}, seen(payment, "succeeded", **changes), NOW)


@pytest.mark.parametrize(
    ("taken", "settled", "credit"),
    [
        (300, {FIRST: 100, SECOND: 200}, 0),
        (301, {FIRST: 100, SECOND: 200}, 1),
        (299, {FIRST: 100, SECOND: 199}, 0),
        (101, {FIRST: 100, SECOND: 1}, 0),
        (100, {FIRST: 100}, 0),
        (1, {FIRST: 1}, 0),
    ],
)
@pytest.mark.parametrize("agreed", ["taken too", "as it was"])
def test_what_stripe_took_is_booked_whatever_was_agreed(
    taken: int, settled: dict[UUID, int], credit: int, agreed: str
) -> None:
    payment = a_payment(100, 200)
    payables = {FIRST: a_payable(FIRST, 100), SECOND: a_payable(SECOND, 200)}
    amounts = {"amount": taken if agreed == "taken too" else 300, "amount_received": taken}

    changes = run(
        payment,
        payables,
        [
            seen(payment, "charge.succeeded", 1, amount=taken),
            seen(payment, "succeeded", 1, **amounts),
            seen(payment, "succeeded", 2, **amounts),
        ],
    )

    [entry] = [change.entry for change in changes if change.entry]
    moved = {m.invoice_id: m.amount.minor for change in changes for m in change.movements}
    [fact] = [change.fact for change in changes if change.fact]
    assert moved == settled
    assert sum(p.amount for p in entry.postings if p.account == "stripe") == taken
    assert -sum(p.amount for p in entry.postings if p.account == "client_credit") == credit
    assert (fact.amount.minor, changes[-1].payment.amount) == (taken, taken)
    assert [share.amount for share in changes[-1].payment.allocations] == [100, 200]


def test_a_debit_on_its_way_keeps_no_invoice_waiting_that_it_does_not_reach() -> None:
    """Only a movement ends the waiting of an invoice, and one that gets nothing has none."""
    payment = a_payment(100, 200)
    payables = {FIRST: a_payable(FIRST, 100), SECOND: a_payable(SECOND, 200)}
    less = {"amount": 60, "amount_received": 60}

    on_its_way, booked = run(
        payment, payables, [seen(payment, "processing", 1, amount=60), seen(payment, "succeeded", 2, **less)]
    )

    for change in (on_its_way, booked):
        assert change.fact is not None
        assert change.fact == fact_about(change.payment)
        assert [(share.invoice_id, share.amount.minor) for share in change.fact.invoices] == [(FIRST, 60)]


def test_a_debit_that_came_to_nothing_is_of_what_was_agreed_again() -> None:
    payment = a_payment(100, 200)
    (_, failed) = run(
        payment,
        {},
        [seen(payment, "processing", 1, amount=60), seen(payment, "payment_failed", 2, amount=60)],
    )
    assert (failed.payment.status, failed.payment.amount) == ("failed", 300)


@pytest.mark.parametrize("what", ["payment_failed", "requires_action", "canceled"])
def test_a_change_of_the_amount_alone_hides_no_state(what: str) -> None:
    payment = a_payment(100)
    (change,) = run(payment, {FIRST: a_payable(FIRST, 100)}, [seen(payment, what, 1, amount=99)])
    assert change.payment.status == {"payment_failed": "failed"}.get(what, what)
    assert change.payment.amount == 100


@pytest.mark.parametrize("what", ["succeeded", "payment_failed", "charge.succeeded"])
def test_an_intent_whose_customer_is_gone_is_still_ours(what: str) -> None:
    payment = replace(a_payment(100), customer_id="cus_1")
    (change,) = run(payment, {FIRST: a_payable(FIRST, 100)}, [seen(payment, what, 1, customer=None)])
    assert change.payment.seen_at is not None
    assert (change.payment.status == "succeeded") == (what == "succeeded")


def test_another_customer_is_refused() -> None:
    payment = replace(a_payment(100), customer_id="cus_1")
    with pytest.raises(mismatches.WrongCharge):
        lifecycle.observe(payment, {}, seen(payment, "succeeded", customer="cus_2"), NOW)


def test_facts_and_movements_made_again_have_the_same_ids() -> None:
    payment = a_payment(100)
    payables = {FIRST: a_payable(FIRST, 100)}
    once = lifecycle.observe(payment, payables, seen(payment, "succeeded"), NOW)

    assert fact_about(once.payment) == once.fact
    again = lifecycle.observe(payment, payables, seen(payment, "succeeded"), NOW)
    assert again.movements == once.movements


def test_an_entry_that_does_not_balance_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="does not balance"):
        ledger.Entry(CLINIC, uuid4(), uuid4(), "pi_1", "capture", NOW, (ledger.Posting("stripe", 1, "EUR"),))


@pytest.mark.parametrize("settled", [{FIRST: 101}, {FIRST: -1, SECOND: 50}])
def test_more_is_never_settled_than_was_taken(settled: dict[UUID, int]) -> None:
    with pytest.raises(ValueError, match="more is settled"):
        ledger.capture(100, "EUR", settled, CLIENT)
