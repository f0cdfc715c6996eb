"""Ids of bookings: the same on every path, in every order, at every time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from contracts.events.payment import PaymentFailed
from contracts.events.stripe import StripeEvent
from services.chassis.ids import made_at, new_id
from services.payment.payments import lifecycle
from services.payment.payments.domain import Allocation, Payment
from services.payment.payments.facts import fact_about, update_about
from services.payment.receivables.domain import Receivable
from services.payment.refunds import domain as refunds
from services.payment.refunds.domain import Refund
from services.payment.stripe import observations

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
CLINIC, CLIENT, PAYMENT, REFUND = new_id(), new_id(), new_id(), new_id()
INVOICES = (UUID(int=1), UUID(int=2))
CARD = {"id": "pm_1", "type": "card", "card": {"brand": "visa", "last4": "4242"}}
WAYS = st.sampled_from(["webhook", "queued before the upgrade", "looked up"])
MOMENTS = st.integers(0, 10**7)


def a_payment() -> Payment:
    """A payment as a backup may have it: started, without any observation."""
    return Payment(
        clinic_id=CLINIC,
        id=PAYMENT,
        client_id=CLIENT,
        account="",
        livemode=False,
        status="created",
        amount=300,
        currency="EUR",
        kind="card",
        save=False,
        idempotency_key="payment-7",
        created_at=START,
        updated_at=START,
        allocations=(Allocation(INVOICES[0], 100), Allocation(INVOICES[1], 200)),
    )


def payables() -> dict[UUID, Receivable]:
    return {each: Receivable(CLINIC, each, CLIENT, 1_000, 0, "EUR", "unpaid") for each in INVOICES}


def an_intent(status: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "livemode": False,
        "amount": 300,
        "amount_received": 300 if status == "succeeded" else 0,
        "currency": "eur",
        "metadata": {"clinic_id": str(CLINIC), "payment_id": str(PAYMENT)},
        "payment_method": "pm_1",
        "latest_charge": "ch_1",
    } | changes


def declined(charge: str | None, method: str) -> dict[str, Any]:
    error = {"code": "card_declined", "decline_code": "lost_card", "payment_method": CARD | {"id": method}}
    return an_intent(
        "requires_payment_method",
        payment_method=None,
        latest_charge=charge,
        last_payment_error=error | ({"charge": charge} if charge else {}),
    )


_TYPES = {"requires_payment_method": "payment_failed"}


def event_of(intent: dict[str, Any], way: str, second: int) -> StripeEvent:
    """An observation of an intent, on one of the paths, so many seconds after the start."""
    at = START + timedelta(seconds=second)
    if way == "looked up":
        charge = {"id": intent["latest_charge"], "payment_method_details": CARD}
        seen = observations.looked_up(
            intent | {"latest_charge": charge if intent["latest_charge"] else None}, "", at
        )
        assert seen is not None
        return seen
    kind = _TYPES.get(intent["status"], intent["status"])
    event = observations.read_event(
        {
            "id": f"evt_{intent['status']}_{intent['latest_charge']}",
            "type": f"payment_intent.{kind}",
            "created": int(at.timestamp()),
            "livemode": False,
            "data": {"object": intent},
        }
    )
    return event.model_copy(update={"attempt": None}) if way.startswith("queued") else event


def booked(way: str, second: int, hours_later: int, *before: dict[str, Any]) -> dict[str, Any]:
    """The ids of a success, booked so many hours after it, following earlier observations."""
    payment, now = a_payment(), START + timedelta(hours=hours_later)
    for step, intent in enumerate(before):
        payment = lifecycle.observe(payment, payables(), event_of(intent, way, step), now).payment
    change = lifecycle.observe(payment, payables(), event_of(an_intent("succeeded"), way, second), now)
    assert change.entry is not None
    assert change.fact is not None
    update = update_about(change.payment)
    assert update is not None
    return {
        "movements": [(each.id, each.invoice_id, each.stripe_object_id) for each in change.movements],
        "entry": change.entry.id,
        "fact": change.fact.id,
        "update": update.id,
    }


@given(WAYS, WAYS, MOMENTS, MOMENTS, st.integers(0, 10**5), st.booleans())
def test_a_success_has_the_same_ids_on_every_path_and_whenever_it_is_booked(
    one: str, other: str, second: int, later: int, hours: int, tried_before: bool
) -> None:
    before = [declined("ch_0", "pm_0")] if tried_before else []
    assert booked(one, second, 1) == booked(other, later, hours, *before)


@given(MOMENTS, st.sampled_from([("processing", "ch_1"), ("canceled", None)]))
def test_a_state_has_the_same_id_by_webhook_and_when_it_is_looked_up(
    second: int, news: tuple[str, str | None]
) -> None:
    intent = an_intent(news[0], latest_charge=news[1])
    ids = set()
    for way in ("webhook", "looked up"):
        change = lifecycle.observe(a_payment(), payables(), event_of(intent, way, second), START)
        assert change.fact is not None
        ids.add(change.fact.id)
    assert len(ids) == 1


@given(st.permutations([("ch_1", "pm_1"), ("ch_2", "pm_1"), (None, "pm_1"), (None, "pm_2")]))
def test_each_declined_attempt_is_published_once_under_its_own_id(
    attempts: list[tuple[str | None, str]],
) -> None:
    payment, published = a_payment(), []
    for second, (charge, method) in enumerate(attempts):
        for way in ("webhook", "looked up"):
            change = lifecycle.observe(
                payment, payables(), event_of(declined(charge, method), way, second), START
            )
            payment = change.payment
            published += [change.fact] if change.fact else []
    assert [type(fact) for fact in published] == [PaymentFailed] * 4
    assert len({fact.id for fact in published}) == 4
    assert [fact.version for fact in published] == [1, 2, 3, 4]


def test_what_an_earlier_release_published_keeps_its_id() -> None:
    paid = lifecycle.observe(
        a_payment(), payables(), event_of(an_intent("succeeded"), "webhook", 0), START
    ).payment
    earlier = replace(paid, fact_id=None)
    assert fact_about(earlier).id != fact_about(paid).id
    assert made_at(fact_about(earlier).id) == earlier.updated_at
    update = update_about(earlier)
    assert update is not None
    assert made_at(update.id) == earlier.succeeded_at


def a_refund() -> Refund:
    return Refund(
        clinic_id=CLINIC,
        id=REFUND,
        client_id=CLIENT,
        payment_id=PAYMENT,
        account="",
        livemode=False,
        intent_id="pi_1",
        status="created",
        amount=100,
        currency="EUR",
        created_at=START,
        updated_at=START,
    )


@given(st.lists(st.sampled_from(["pending", "succeeded"]), max_size=3), MOMENTS, MOMENTS)
def test_a_refund_has_the_same_ids_whenever_it_is_booked(before: list[str], second: int, hours: int) -> None:
    def ids(news: list[str], at: int, now: datetime) -> list[UUID]:
        refund, made = a_refund(), [refunds.set_aside(a_refund(), now).id]
        for status in news:
            seen = StripeEvent(
                id=new_id(),
                time=now,
                created=START + timedelta(seconds=at),
                stripe_event_id=f"evt_{at}",
                event_type="refund.updated",
                livemode=False,
                object_id="re_1",
                object_type="refund",
                payment_intent="pi_1",
                status=status,
                amount=100,
                currency="EUR",
                clinic=CLINIC,
                payment_id=PAYMENT,
                refund_id=REFUND,
            )
            change = refunds.observe(refund, seen, now)
            refund = change.refund
            made += [change.entry.id] if change.entry else []
            made += [change.fact.id] if change.fact else []
        return made

    later = START + timedelta(hours=hours % 10**5)
    assert ids([*before, "succeeded", "failed"], second, START) == ids(["succeeded", "failed"], 0, later)


def test_ids_begin_with_the_moment_of_our_own_id_of_the_payment() -> None:
    paid = booked("webhook", 99, 50)
    assert made_at(paid["entry"]) == made_at(PAYMENT)
