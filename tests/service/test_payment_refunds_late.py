"""Refunds whose answer is lost, whose news come late, twice or reversed, and that the bank returns: credit again."""

import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from contracts.stripe import StripeEvent
from services.chassis.ids import new_id
from tests.builders.events import waiting_parked
from tests.running.payment import Desk
from tests.running.refunds import (
    BACK,
    SENT,
    WAITS,
    at_stripe,
    bank_says,
    credit_of,
    fault,
    grown_old,
    leaves_credit,
    press,
    refunds_said,
    sweep,
)


async def test_a_refund_that_fails_days_later_is_credit_again_and_can_be_sent_again(desk: Desk) -> None:
    await leaves_credit(desk, card="pm_card_refundFail")
    await press(desk)
    await desk.hook.until("refund.created")
    await desk.hear()
    assert await desk.books() == SENT

    await bank_says(desk, "failed")
    await desk.hear()

    assert await desk.books() == BACK
    after = await credit_of(desk)
    assert after["refundable"] == [{"minor": 2500, "currency": "EUR"}]
    assert [(each["status"], each["failure_reason"]) for each in after["refunds"]] == [
        ("failed", "expired_or_canceled_card")
    ]
    assert (await press(desk)).status_code == 201
    assert len(await refunds_said(desk)) == 1


@pytest.mark.parametrize(("outcome", "books"), [("succeeded", SENT), ("failed", BACK), ("canceled", BACK)])
async def test_a_refund_that_waits_ends_as_the_bank_says(
    desk: Desk, outcome: str, books: list[tuple[str, int]]
) -> None:
    await leaves_credit(desk, card="pm_card_pendingRefund")
    await press(desk)
    await desk.hook.until("refund.created")
    await desk.hear()
    assert await desk.books() == WAITS

    await bank_says(desk, outcome)
    await desk.hear()
    await desk.hear()

    assert await desk.books() == books
    assert len(await refunds_said(desk)) == (outcome == "succeeded")


async def test_news_in_any_order_and_number_end_the_same(desk: Desk) -> None:
    await leaves_credit(desk, card="pm_card_refundFail")
    await press(desk)
    await bank_says(desk, "failed")
    news = [event for event in desk.hook.events() if event.event_type.startswith("refund.")]
    assert {event.status for event in news} == {"succeeded", "failed"}
    await desk.db.admin.execute("CREATE TABLE before AS SELECT * FROM refunds")

    for order in permutations(news):
        await desk.db.admin.execute(
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
            await desk.hear(*copies)
        assert await desk.books() == BACK, [event.event_type for event in order]
        assert [each["status"] for each in (await credit_of(desk))["refunds"]] == ["failed"]


@pytest.mark.parametrize("kind", ["timeout_after", "500_after", "429"])
async def test_a_lost_answer_is_healed_by_the_sweeper_alone(desk: Desk, kind: str) -> None:
    await leaves_credit(desk)
    await desk.sandbox.control("POST", "/faults/webhooks", {"kind": "drop", "count": 20})
    await fault(desk, kind, count=3)

    answer = await press(desk)
    await desk.sandbox.control("DELETE", "/faults")
    assert answer.status_code == 201
    await sweep(desk)
    await sweep(desk)

    assert [each["amount"] for each in await at_stripe(desk)] == [2500]
    assert [each["status"] for each in (await credit_of(desk))["refunds"]] == ["succeeded"]
    assert await desk.books() == SENT
    assert len(await refunds_said(desk)) == 1


async def test_a_crash_before_the_call_is_healed_with_the_key_that_was_committed(desk: Desk) -> None:
    await leaves_credit(desk)
    await fault(desk, "429", count=9)
    [made] = (await press(desk, "k")).json()["refunds"]
    await desk.sandbox.control("DELETE", "/faults")
    assert made["status"] == "created"
    assert await desk.books() == WAITS

    [again] = (await press(desk, "k")).json()["refunds"]

    assert (again["id"], again["status"]) == (made["id"], "pending")
    keys = {each.idempotency_key for each in desk.sandbox.requests("/v1/refunds")}
    assert keys == {f"refund-{made['id']}"}
    assert len(await at_stripe(desk)) == 1


@pytest.mark.parametrize(
    ("kind", "reason"), [("400_refunded", "charge_already_refunded"), ("400_disputed", "charge_disputed")]
)
async def test_what_stripe_refuses_is_credit_again(desk: Desk, kind: str, reason: str) -> None:
    """Stripe was asked before, and the money went back at Stripe itself only after that."""
    payment_id = await leaves_credit(desk)
    await fault(desk, kind)

    [made] = (await press(desk, payment_id=str(payment_id))).json()["refunds"]
    await desk.hear()

    assert (made["status"], made["failure_reason"]) == ("failed", reason)
    assert await desk.books() == BACK
    assert await waiting_parked(desk.db) == []


async def test_an_error_that_stripe_keeps_is_given_up_once_nothing_can_come_of_it(desk: Desk) -> None:
    await leaves_credit(desk)
    await fault(desk, "500_before", count=1)
    await press(desk)
    await sweep(desk)
    assert await desk.books() == WAITS

    await grown_old(desk, timedelta(minutes=11))
    await sweep(desk)

    assert await at_stripe(desk) == []
    assert await desk.books() == BACK
    assert [each["status"] for each in (await credit_of(desk))["refunds"]] == ["canceled"]


async def test_a_key_that_stripe_may_have_forgotten_makes_nothing_any_more(desk: Desk) -> None:
    await leaves_credit(desk)
    await fault(desk, "timeout_after", count=3)
    await press(desk)
    await desk.sandbox.control("DELETE", "/faults")
    await grown_old(desk, timedelta(days=2))
    before = len(desk.sandbox.requests("/v1/refunds"))

    await sweep(desk)

    assert {each.method for each in desk.sandbox.requests("/v1/refunds")[before:]} == {"GET"}
    assert await desk.books() == SENT


async def test_a_failure_whose_webhook_never_came_is_found(desk: Desk) -> None:
    await leaves_credit(desk, card="pm_card_refundFail")
    await press(desk)
    await desk.hook.until("refund.created")
    await desk.hear()
    await bank_says(desk, "failed")

    await sweep(desk)
    assert await desk.books() == SENT
    await grown_old(desk, timedelta(days=3))
    await sweep(desk)

    assert await desk.books() == BACK


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
    desk: Desk, change: dict[str, Any], reason: str
) -> None:
    await leaves_credit(desk)
    await press(desk)
    await desk.hook.until("refund.created")
    [event] = [each for each in desk.hook.events() if each.event_type == "refund.created"]

    await desk.hear(event.model_copy(update=change))

    assert [reason for _, reason in await waiting_parked(desk.db)] == [reason]
    assert await desk.books() == WAITS


@pytest.mark.parametrize("change", [{"payment_intent": "pi_other"}, {"account": "acct_other"}])
async def test_a_refund_of_another_charge_that_carries_our_metadata_is_counted_and_not_parked(
    desk: Desk, change: dict[str, Any]
) -> None:
    await leaves_credit(desk)
    await press(desk)
    await desk.hook.until("refund.created")
    [event] = [each for each in desk.hook.events() if each.event_type == "refund.created"]

    await desk.hear(later(event, object_id="re_other", **change))

    assert await waiting_parked(desk.db) == []
    assert await desk.books() == WAITS


async def test_a_refund_that_was_given_up_and_is_there_all_the_same_is_for_a_person(desk: Desk) -> None:
    await leaves_credit(desk)
    await press(desk)
    await desk.hook.until("refund.created")
    await desk.db.admin.execute("UPDATE refunds SET status = 'canceled', stripe_refund_id = NULL")

    await desk.hear()

    assert ("stripe.event", "stripe_refund_given_up") in await waiting_parked(desk.db)


def later(event: StripeEvent, **changes: Any) -> StripeEvent:
    return event.model_copy(update={"id": new_id(), **changes})


async def test_a_late_success_does_not_undo_a_failure(desk: Desk) -> None:
    await leaves_credit(desk, card="pm_card_refundFail")
    await press(desk)
    await bank_says(desk, "failed")
    success, failure, _ = [each for each in desk.hook.events() if each.event_type.startswith("refund.")]

    await desk.hear(failure)
    await desk.hear(later(success), later(success, event_type="refund.updated"))

    assert await desk.books() == BACK
    assert await refunds_said(desk) == []


async def test_news_of_a_refund_waits_for_nobody_who_holds_its_payment(desk: Desk) -> None:
    """A batch that has the payment may want the refund next: if this one waited for the payment, both would."""
    await leaves_credit(desk)
    await press(desk)
    await desk.hook.until("refund.created")
    async with desk.db.admin.acquire() as other, other.transaction():
        await other.execute("SELECT FROM payments FOR NO KEY UPDATE")
        async with asyncio.timeout(10):
            await desk.hear()

    assert await desk.books() == SENT
