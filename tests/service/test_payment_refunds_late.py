"""Refunds whose answer is lost, whose news come late, twice or reversed, and that the bank returns: credit again."""

import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from contracts.events.stripe import StripeEvent
from services.chassis.ids import new_id
from services.payment import consumers
from services.payment.disputes.sweep import sweep_disputes
from services.payment.refunds import sweep as refunds_sweep
from tests.builders.events import waiting_parked
from tests.running.payment import PaymentService
from tests.running.refunds import (
    BACK,
    SENT,
    WAITS,
    age_refunds,
    at_stripe,
    credit_of,
    fault,
    leave_credit,
    refund_events,
    request_refund,
    send_refund,
    settle_refund,
    sweep,
)


async def test_a_refund_that_fails_days_later_is_credit_again_and_can_be_sent_again(
    payments: PaymentService,
) -> None:
    await send_refund(payments, "pm_card_refundFail")
    await payments.consume()
    assert await payments.books() == SENT

    await settle_refund(payments, "failed")
    await payments.consume()

    assert await payments.books() == BACK
    after = await credit_of(payments)
    assert after["refundable"] == [{"minor": 2500, "currency": "EUR"}]
    assert [(each["status"], each["failure_reason"]) for each in after["refunds"]] == [
        ("failed", "expired_or_canceled_card")
    ]
    assert (await request_refund(payments)).status_code == 201
    assert len(await refund_events(payments)) == 1


@pytest.mark.parametrize("days", [1, 29, 30, 34])
@pytest.mark.parametrize("heard", [True, False])
async def test_a_success_may_fail_for_a_month_and_is_heard_of_and_looked_for(
    payments: PaymentService, days: int, heard: bool
) -> None:
    await send_refund(payments, "pm_card_refundFail")
    await payments.consume()
    await age_refunds(payments, timedelta(days=days, hours=1))
    await settle_refund(payments, "failed")

    if heard:
        await payments.consume()
    await sweep(payments)

    assert await payments.books() == BACK
    [refund] = (await credit_of(payments))["refunds"]
    assert (refund["status"], refund["failure_reason"]) == ("failed", "expired_or_canceled_card")
    assert (await request_refund(payments)).status_code == 201
    await sweep(payments)
    assert await payments.books() == SENT


@pytest.mark.parametrize("heard", [True, False])
async def test_a_refund_seconds_before_a_chargeback_is_credit_again_and_is_not_sent_twice(
    payments: PaymentService, heard: bool
) -> None:
    """The chargeback takes the charge's money: what was on its way fails, and no other refund is made."""
    await send_refund(payments, "pm_card_pendingRefund")
    await payments.consume()
    assert await payments.books() == WAITS
    [intent] = await payments.intents()

    path = f"/accounts/platform/charges/{intent['latest_charge']}/dispute"
    await payments.sandbox.control("POST", path, {})
    if heard:
        await payments.hook.until("refund.failed")
        await payments.hook.until("charge.dispute.funds_withdrawn")
        await payments.consume()
    await sweep(payments)
    await sweep_disputes(payments.worker, payments.stripe, consumers.apply_stripe_events)

    taken = [
        ("client_credit", 0),
        ("dispute_fee", 1500),
        ("refund_pending", 0),
        ("stripe", -1500),
    ]
    assert await payments.books() == (taken if heard else BACK)
    [refund] = (await credit_of(payments))["refunds"]
    assert (refund["status"], refund["failure_reason"]) == ("failed", "charge_for_pending_refund_disputed")
    if heard:
        assert (await request_refund(payments)).json()["code"] == "nothing_to_refund"
        return
    again = await request_refund(payments)
    assert (again.status_code, again.json()["code"]) == (409, "charge_disputed")
    assert len(await at_stripe(payments)) == 1
    assert await payments.books() == BACK


async def test_a_refund_that_arrived_before_a_chargeback_stays_sent(payments: PaymentService) -> None:
    """Stripe withdraws the whole charge as well: the clinic's loss, and no credit of the client's."""
    await send_refund(payments)
    await payments.consume()
    [intent] = await payments.intents()

    path = f"/accounts/platform/charges/{intent['latest_charge']}/dispute"
    await payments.sandbox.control("POST", path, {})
    await payments.hook.until("charge.dispute.funds_withdrawn")
    await payments.consume()
    await age_refunds(payments, timedelta(days=3))
    await sweep(payments)

    assert await payments.books() == [
        ("client_credit", 0),
        ("dispute_fee", 1500),
        ("disputed_rest", 2500),
        ("refund_pending", 0),
        ("stripe", -4000),
    ]
    assert (await request_refund(payments)).json()["code"] == "nothing_to_refund"


@pytest.mark.parametrize(("outcome", "books"), [("succeeded", SENT), ("failed", BACK), ("canceled", BACK)])
async def test_a_refund_that_waits_ends_as_the_bank_says(
    payments: PaymentService, outcome: str, books: list[tuple[str, int]]
) -> None:
    await send_refund(payments, "pm_card_pendingRefund")
    await payments.consume()
    assert await payments.books() == WAITS

    await settle_refund(payments, outcome)
    await payments.consume()
    await payments.consume()

    assert await payments.books() == books
    assert len(await refund_events(payments)) == (outcome == "succeeded")


@pytest.mark.parametrize("order", list(permutations(["pending", "requires_action"])))
async def test_of_two_waits_of_one_second_the_sweeper_asks_stripe_at_once(
    payments: PaymentService, order: tuple[str, str]
) -> None:
    event = await send_refund(payments, "pm_card_pendingRefund")
    at = event.created - timedelta(seconds=5)

    for status in order:
        copies = [{"id": new_id(), "status": status, "created": at} for _ in range(2)]
        await payments.consume(*(event.model_copy(update=changed) for changed in copies))
    await refunds_sweep.sweep_refunds(payments.worker, payments.stripe)

    [refund] = (await credit_of(payments))["refunds"]
    assert refund["status"] == "pending"
    assert await payments.books() == WAITS


async def test_news_in_any_order_and_number_end_the_same(payments: PaymentService) -> None:
    await leave_credit(payments, card="pm_card_refundFail")
    await request_refund(payments)
    await settle_refund(payments, "failed")
    news = [event for event in payments.hook.events() if event.event_type.startswith("refund.")]
    assert {event.status for event in news} == {"succeeded", "failed"}
    await payments.db.admin.execute("CREATE TABLE before AS SELECT * FROM refunds")

    for order in permutations(news):
        await payments.db.admin.execute(
            """
            DELETE FROM outbox;
            SET session_replication_role = replica;
            DELETE FROM postings WHERE entry_id IN (SELECT id FROM entries WHERE effect LIKE 'refund!_%' ESCAPE '!');
            DELETE FROM entries WHERE effect LIKE 'refund!_%' ESCAPE '!';
            DELETE FROM refunds;
            INSERT INTO refunds SELECT * FROM before;
            SET session_replication_role = origin
            """
        )
        for event in order:
            copies = [event.model_copy(update={"id": new_id()}) for _ in range(2)]
            await payments.consume(*copies)
        assert await payments.books() == BACK, [event.event_type for event in order]
        assert [each["status"] for each in (await credit_of(payments))["refunds"]] == ["failed"]


@pytest.mark.parametrize("kind", ["timeout_after", "500_after", "429"])
async def test_a_lost_answer_is_healed_by_the_sweeper_alone(payments: PaymentService, kind: str) -> None:
    await leave_credit(payments)
    await payments.sandbox.control("POST", "/faults/webhooks", {"kind": "drop", "count": 20})
    await fault(payments, kind, count=3)

    answer = await request_refund(payments)
    await payments.sandbox.control("DELETE", "/faults")
    assert answer.status_code == 201
    await sweep(payments)
    await sweep(payments)

    assert [each["amount"] for each in await at_stripe(payments)] == [2500]
    assert [each["status"] for each in (await credit_of(payments))["refunds"]] == ["succeeded"]
    assert await payments.books() == SENT
    assert len(await refund_events(payments)) == 1


async def test_a_crash_before_the_call_is_healed_with_the_key_that_was_committed(
    payments: PaymentService,
) -> None:
    await leave_credit(payments)
    await fault(payments, "429", count=9)
    [made] = (await request_refund(payments, "k")).json()["refunds"]
    await payments.sandbox.control("DELETE", "/faults")
    assert made["status"] == "created"
    assert await payments.books() == WAITS

    [again] = (await request_refund(payments, "k")).json()["refunds"]

    assert (again["id"], again["status"]) == (made["id"], "pending")
    keys = {each.idempotency_key for each in payments.sandbox.requests("/v1/refunds")}
    assert keys == {f"refund-{made['id']}"}
    assert len(await at_stripe(payments)) == 1


@pytest.mark.parametrize(
    ("kind", "reason"), [("400_refunded", "charge_already_refunded"), ("400_disputed", "charge_disputed")]
)
async def test_what_stripe_refuses_is_credit_again(payments: PaymentService, kind: str, reason: str) -> None:
    """Stripe was asked before, and the money went back at Stripe itself only after that."""
    payment_id = await leave_credit(payments)
    await fault(payments, kind)

    [made] = (await request_refund(payments, payment_id=str(payment_id))).json()["refunds"]
    await payments.consume()

    assert (made["status"], made["failure_reason"]) == ("failed", reason)
    assert await payments.books() == BACK
    assert await waiting_parked(payments.db) == []


async def test_an_error_that_stripe_keeps_is_given_up_once_nothing_can_come_of_it(
    payments: PaymentService,
) -> None:
    await leave_credit(payments)
    await fault(payments, "500_before", count=1)
    await request_refund(payments)
    await sweep(payments)
    assert await payments.books() == WAITS

    await age_refunds(payments, timedelta(minutes=11))
    await sweep(payments)

    assert await at_stripe(payments) == []
    assert await payments.books() == BACK
    assert [each["status"] for each in (await credit_of(payments))["refunds"]] == ["canceled"]


async def test_a_key_that_stripe_may_have_forgotten_makes_nothing_any_more(payments: PaymentService) -> None:
    await leave_credit(payments)
    await fault(payments, "timeout_after", count=3)
    await request_refund(payments)
    await payments.sandbox.control("DELETE", "/faults")
    await age_refunds(payments, timedelta(days=2))
    before = len(payments.sandbox.requests("/v1/refunds"))

    await sweep(payments)

    assert {each.method for each in payments.sandbox.requests("/v1/refunds")[before:]} == {"GET"}
    assert await payments.books() == SENT


async def test_a_failure_whose_webhook_never_came_is_found(payments: PaymentService) -> None:
    await send_refund(payments, "pm_card_refundFail")
    await payments.consume()
    await settle_refund(payments, "failed")

    await sweep(payments)
    assert await payments.books() == SENT
    await age_refunds(payments, timedelta(days=3))
    await sweep(payments)

    assert await payments.books() == BACK


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"account": "acct_other"}, "stripe_wrong_account"),
        ({"livemode": True}, "stripe_wrong_mode"),
        ({"amount": 2499}, "stripe_wrong_charge"),
        ({"currency": "USD"}, "stripe_wrong_charge"),
        ({"payment_intent": "pi_other"}, "stripe_wrong_intent"),
        ({"object_id": "re_other"}, "stripe_wrong_intent"),
        ({"clinic": UUID(int=7)}, "stripe_unknown_refund"),
        ({"refund_id": UUID(int=7)}, "stripe_unknown_refund"),
    ],
)
async def test_a_signed_event_that_does_not_fit_is_parked(
    payments: PaymentService, change: dict[str, Any], reason: str
) -> None:
    event = await send_refund(payments)

    await payments.consume(event.model_copy(update=change))

    assert [reason for _, reason in await waiting_parked(payments.db)] == [reason]
    assert await payments.books() == WAITS


@pytest.mark.parametrize("change", [{"payment_intent": "pi_other"}, {"account": "acct_other"}])
async def test_a_refund_of_another_charge_that_carries_our_metadata_is_counted_and_not_parked(
    payments: PaymentService, change: dict[str, Any]
) -> None:
    event = await send_refund(payments)

    await payments.consume(later(event, object_id="re_other", **change))

    assert await waiting_parked(payments.db) == []
    assert await payments.books() == WAITS


async def test_a_refund_that_was_given_up_and_is_there_all_the_same_is_for_a_person(
    payments: PaymentService,
) -> None:
    await send_refund(payments)
    await payments.db.admin.execute("UPDATE refunds SET status = 'canceled', stripe_refund_id = NULL")

    await payments.consume()

    assert ("stripe.event", "stripe_refund_given_up") in await waiting_parked(payments.db)


def later(event: StripeEvent, **changes: Any) -> StripeEvent:
    return event.model_copy(update={"id": new_id(), **changes})


async def test_a_late_success_does_not_undo_a_failure(payments: PaymentService) -> None:
    await leave_credit(payments, card="pm_card_refundFail")
    await request_refund(payments)
    await settle_refund(payments, "failed")
    success, failure, _ = [each for each in payments.hook.events() if each.event_type.startswith("refund.")]

    await payments.consume(failure)
    await payments.consume(later(success), later(success, event_type="refund.updated"))

    assert await payments.books() == BACK
    assert await refund_events(payments) == []


async def test_news_of_a_refund_waits_for_nobody_who_holds_its_payment(payments: PaymentService) -> None:
    """A batch that has the payment may want the refund next: if this one waited for the payment, both would."""
    await send_refund(payments)
    async with payments.db.admin.acquire() as other, other.transaction():
        await other.execute("SELECT FROM payments FOR NO KEY UPDATE")
        async with asyncio.timeout(10):
            await payments.consume()

    assert await payments.books() == SENT
