"""Disputes at the sandbox: what each test card starts, Stripe's order of events, the money, and refunds meanwhile."""

from typing import Any

import pytest
import stripe

from deploy.sandbox.embedded import RunningSandbox
from tests.running.sandbox import ACCOUNT, BACK, ON, V1, an_intent, confirm

AMOUNT = 12_500
FEE = 1_500


async def disputed(v1: V1, token: str) -> tuple[Any, Any]:
    paid = await confirm(v1, (await an_intent(v1)).id, token)
    listed = await v1.disputes.list_async({"payment_intent": paid.id}, ON)
    return paid, listed.data[0]


async def said(v1: V1) -> list[str]:
    """The account's events since its first charge, in order."""
    listed = await v1.events.list_async({"limit": 100}, ON)
    types = [event.type for event in reversed(listed.data)]
    return types[types.index("charge.succeeded") :]


async def moved(v1: V1, dispute: str) -> list[tuple[int, int]]:
    """(amount, fee) of what the dispute took and gave back."""
    found = await v1.disputes.retrieve_async(dispute, None, ON)
    return [(each.amount, each.fee) for each in found.balance_transactions]


@pytest.mark.parametrize(
    ("token", "status", "taken", "events"),
    [
        (
            "pm_card_createDispute",
            "needs_response",
            [(-AMOUNT, FEE)],
            ["charge.dispute.created", "charge.dispute.funds_withdrawn"],
        ),
        ("pm_card_createDisputeInquiry", "warning_needs_response", [], ["charge.dispute.created"]),
    ],
)
async def test_a_dispute_comes_before_the_payments_success(
    v1: V1, token: str, status: str, taken: list[tuple[int, int]], events: list[str]
) -> None:
    paid, dispute = await disputed(v1, token)

    assert (paid.status, dispute.status, dispute.amount) == ("succeeded", status, AMOUNT)
    assert await moved(v1, dispute.id) == taken
    assert await said(v1) == ["charge.succeeded", *events, "payment_intent.succeeded"]


@pytest.mark.parametrize(
    ("evidence", "status", "back", "events"),
    [
        (
            "winning_evidence",
            "won",
            [(AMOUNT, 0)],
            [
                "charge.dispute.updated",
                "charge.updated",
                "charge.dispute.funds_reinstated",
                "charge.dispute.closed",
            ],
        ),
        (
            "losing_evidence",
            "lost",
            [],
            ["charge.dispute.updated", "charge.updated", "charge.dispute.closed", "charge.updated"],
        ),
    ],
)
async def test_a_chargeback_is_won_or_lost(
    v1: V1, evidence: str, status: str, back: list[tuple[int, int]], events: list[str]
) -> None:
    paid, dispute = await disputed(v1, "pm_card_createDispute")
    before = len(await said(v1))

    ended = await v1.disputes.update_async(dispute.id, {"evidence": {"uncategorized_text": evidence}}, ON)

    charge = await v1.charges.retrieve_async(paid.latest_charge, None, ON)
    intent = await v1.payment_intents.retrieve_async(paid.id, None, ON)
    assert (ended.status, charge.disputed, intent.status) == (status, True, "succeeded")
    assert await moved(v1, dispute.id) == [(-AMOUNT, FEE), *back]
    assert (await said(v1))[before:] == events
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        await v1.disputes.close_async(dispute.id, None, ON)


async def test_while_a_chargeback_runs_nothing_is_refunded_and_after_a_win_it_can_be(
    v1: V1, sandbox: RunningSandbox
) -> None:
    paid, dispute = await disputed(v1, "pm_card_createDispute")

    with pytest.raises(stripe.InvalidRequestError) as refused:
        await v1.refunds.create_async({"payment_intent": paid.id}, ON)
    path = f"/accounts/{ACCOUNT}/disputes/{dispute.id}/end"
    await sandbox.control("POST", path, {"outcome": "lost"})
    with pytest.raises(stripe.InvalidRequestError, match="charged back"):
        await v1.refunds.create_async({"payment_intent": paid.id}, ON)
    await sandbox.control("POST", path, {"outcome": "won"})

    assert refused.value.code == "charge_disputed"
    assert (await v1.refunds.create_async({"payment_intent": paid.id}, ON)).status == "succeeded"


async def test_an_inquiry_can_be_refunded_and_a_whole_refund_ends_it(v1: V1) -> None:
    paid, dispute = await disputed(v1, "pm_card_createDisputeInquiry")

    await v1.refunds.create_async({"payment_intent": paid.id, "amount": 500}, ON)
    open_still = await v1.disputes.retrieve_async(dispute.id, None, ON)
    await v1.refunds.create_async({"payment_intent": paid.id}, ON)
    ended = await v1.disputes.retrieve_async(dispute.id, None, ON)

    assert (open_still.status, ended.status) == ("warning_needs_response", "warning_closed")


async def test_an_inquiry_may_become_a_chargeback_of_the_same_id(v1: V1) -> None:
    _, dispute = await disputed(v1, "pm_card_createDisputeInquiry")
    given: Any = {"evidence": {"uncategorized_text": "escalate_inquiry_evidence"}}

    escalated = await v1.disputes.update_async(dispute.id, given, ON)

    assert (escalated.id, escalated.status) == (dispute.id, "needs_response")
    assert await moved(v1, dispute.id) == [(-AMOUNT, FEE)]


async def test_a_bank_may_dispute_another_amount_and_more_than_once(v1: V1, sandbox: RunningSandbox) -> None:
    paid = await confirm(v1, (await an_intent(v1)).id, "pm_card_createMultipleDisputes")
    path = f"/accounts/{ACCOUNT}/charges/{paid.latest_charge}/dispute"

    third = await sandbox.control("POST", path, {"amount": AMOUNT + 77, "reason": "duplicate"})

    assert third["amount"] == AMOUNT + 77
    assert len((await v1.disputes.list_async({"payment_intent": paid.id}, ON)).data) == 3


async def test_what_is_captured_by_hand_is_disputed_when_it_is_captured(v1: V1) -> None:
    held = await v1.payment_intents.create_async(
        {
            "amount": AMOUNT, "currency": "eur", "capture_method": "manual", "confirm": True, "return_url": BACK,
            "payment_method": "pm_card_createDispute", "payment_method_types": ["card"],
        },
        ON,
    )  # fmt: skip
    charge = await v1.charges.retrieve_async(held.latest_charge, None, ON)
    assert (held.status, held.amount_capturable, charge.captured) == ("requires_capture", AMOUNT, False)
    assert (charge.balance_transaction, charge.disputed) == (None, False)

    done = await v1.payment_intents.capture_async(held.id, {"amount_to_capture": 10_000}, ON)

    charge = await v1.charges.retrieve_async(held.latest_charge, {"expand": ["balance_transaction"]}, ON)
    assert (done.status, done.amount_received, done.amount_capturable) == ("succeeded", 10_000, 0)
    assert (charge.disputed, charge.amount_captured, charge.balance_transaction.amount) == (
        True,
        10_000,
        10_000,
    )


@pytest.mark.parametrize(
    ("evidence", "param"),
    [
        ({"surprise": "x"}, "evidence[surprise]"),
        ({"customer_name": "x" * 5_001}, "evidence[customer_name]"),
        ({"uncategorized_text": "x" * 20_001}, "evidence[uncategorized_text]"),
        (
            dict.fromkeys(
                (
                    "access_activity_log", "cancellation_policy_disclosure", "cancellation_rebuttal",
                    "duplicate_charge_explanation", "product_description", "refund_policy_disclosure",
                    "refund_refusal_explanation", "uncategorized_text",
                ),
                "x" * 20_000,
            ),
            "evidence",
        ),
    ],
)  # fmt: skip
async def test_evidence_that_does_not_fit_is_refused_whole(v1: V1, evidence: Any, param: str) -> None:
    _, dispute = await disputed(v1, "pm_card_createDispute")

    with pytest.raises(stripe.InvalidRequestError) as refused:
        await v1.disputes.update_async(dispute.id, {"evidence": evidence}, ON)

    assert refused.value.param == param
    assert (await v1.disputes.retrieve_async(dispute.id, None, ON)).evidence_details.submission_count == 0


async def test_evidence_is_staged_often_and_submitted_once(v1: V1) -> None:
    _, dispute = await disputed(v1, "pm_card_createDispute")
    staged: Any = {"evidence": {"uncategorized_text": "a first text"}, "submit": False}

    await v1.disputes.update_async(dispute.id, staged, ON)
    still = await v1.disputes.update_async(
        dispute.id, {"evidence": {"customer_name": "Ann"}, "submit": False}, ON
    )
    sent = await v1.disputes.update_async(dispute.id, {"submit": True}, ON)

    assert (still.status, still.evidence_details.submission_count) == ("needs_response", 0)
    assert (sent.status, sent.evidence_details.submission_count) == ("under_review", 1)
    assert (sent.evidence.customer_name, sent.evidence.uncategorized_text) == ("Ann", "a first text")
    with pytest.raises(stripe.InvalidRequestError, match="already been submitted"):
        await v1.disputes.update_async(dispute.id, {"evidence": {"customer_name": "Bob"}}, ON)
    named = await v1.disputes.update_async(dispute.id, {"metadata": {"a": "b"}}, ON)
    assert (named.metadata["a"], named.evidence_details.submission_count) == ("b", 1)


async def test_evidence_is_refused_after_its_deadline(v1: V1, sandbox: RunningSandbox) -> None:
    _, dispute = await disputed(v1, "pm_card_createDispute")
    await sandbox.control("POST", "/clock", {"offset_seconds": 10 * 86_400})

    with pytest.raises(stripe.InvalidRequestError, match="deadline"):
        await v1.disputes.update_async(dispute.id, {"evidence": {"customer_name": "Ann"}}, ON)
