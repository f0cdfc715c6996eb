"""Refunds at the sandbox, as the official SDK sees them: bounded by the charge, replayed by key, failing late."""

from typing import Any

import pytest
import stripe

from deploy.sandbox.embedded import RunningSandbox
from deploy.sandbox.testing import Inbox
from tests.running.sandbox import ACCOUNT, ON, V1, an_intent, confirm


async def paid(v1: V1, card: str = "pm_card_visa") -> Any:
    return await confirm(v1, (await an_intent(v1)).id, card)


async def refund(v1: V1, intent: str, amount: int, key: str | None = None) -> Any:
    options = {**ON, **({"idempotency_key": key} if key else {})}
    return await v1.refunds.create_async({"payment_intent": intent, "amount": amount}, options)


async def test_no_more_goes_back_than_was_charged(v1: V1, inbox: Inbox) -> None:
    intent = await paid(v1)

    first = await refund(v1, intent.id, 500)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        await refund(v1, intent.id, 12_001)
    await refund(v1, intent.id, 12_000)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await refund(v1, intent.id, 1)

    charge = await v1.charges.retrieve_async(intent.latest_charge, None, ON)
    assert (first.status, first.payment_intent) == ("succeeded", intent.id)
    assert (charge.amount_refunded, charge.refunded) == (12_500, True)
    assert caught.value.code == "charge_already_refunded"
    assert (await inbox.wait_for("refund.created")).event["data"]["object"]["id"] == first.id


async def test_the_same_key_makes_one_refund(v1: V1) -> None:
    intent = await paid(v1)

    made = {(await refund(v1, intent.id, 500, key="r-1")).id for _ in range(3)}

    listed = await v1.refunds.list_async({"payment_intent": intent.id}, ON)
    assert {each.id for each in listed.data} == made
    assert len(made) == 1


async def test_what_is_not_paid_is_not_refunded(v1: V1) -> None:
    intent = await an_intent(v1)

    with pytest.raises(stripe.InvalidRequestError, match="successful charge"):
        await refund(v1, intent.id, 100)


@pytest.mark.parametrize(
    ("card", "begins", "outcome", "left"),
    [
        ("pm_card_pendingRefund", "pending", "succeeded", 12_000),
        ("pm_card_pendingRefund", "pending", "canceled", 12_500),
        ("pm_card_refundFail", "succeeded", "failed", 12_500),
    ],
)
async def test_the_bank_answers_days_later(
    v1: V1, sandbox: RunningSandbox, inbox: Inbox, card: str, begins: str, outcome: str, left: int
) -> None:
    intent = await paid(v1, card)
    made = await refund(v1, intent.id, 500)
    await sandbox.control("POST", "/clock", {"offset_seconds": 5 * 86_400})

    path = f"/accounts/{ACCOUNT}/refunds/{made.id}/settle"
    await sandbox.control("POST", path, {"outcome": outcome})

    after = await v1.refunds.retrieve_async(made.id, None, ON)
    charge = await v1.charges.retrieve_async(intent.latest_charge, None, ON)
    webhook = await inbox.wait_for("refund.failed" if outcome == "failed" else "refund.updated")
    assert (made.status, after.status) == (begins, outcome)
    assert charge.amount - charge.amount_refunded == left
    assert webhook.event["created"] - made.created >= 5 * 86_400
    assert ("failure_balance_transaction" in after) == (outcome != "succeeded")


@pytest.mark.parametrize(
    ("card", "status", "ends"),
    [
        ("pm_card_pendingRefund", "needs_response", "failed"),
        ("pm_card_pendingRefund", "warning_needs_response", "pending"),
        ("pm_card_visa", "needs_response", "succeeded"),
    ],
)
async def test_a_chargeback_fails_a_refund_that_is_on_its_way(
    v1: V1, sandbox: RunningSandbox, card: str, status: str, ends: str
) -> None:
    intent = await paid(v1, card)
    made = await refund(v1, intent.id, 500)

    path = f"/accounts/{ACCOUNT}/charges/{intent.latest_charge}/dispute"
    await sandbox.control("POST", path, {"status": status})

    found = await v1.refunds.retrieve_async(made.id, None, ON)
    reason = getattr(found, "failure_reason", None)
    assert (found.status, reason == "charge_for_pending_refund_disputed") == (ends, ends == "failed")
