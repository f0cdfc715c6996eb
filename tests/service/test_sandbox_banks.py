"""Bank debits at the sandbox: processing for a while, then what Stripe's test accounts say."""

from typing import Any

import pytest
import stripe

from deploy.sandbox import banks
from deploy.sandbox.embedded import RunningSandbox
from deploy.sandbox.testing import Inbox
from tests.running.sandbox import ACCOUNT, ON, V1


def sepa(iban: str) -> dict[str, Any]:
    return {"type": "sepa_debit", "sepa_debit": {"iban": iban}}


def ach(number: str) -> dict[str, Any]:
    account = {
        "account_number": number,
        "routing_number": "110000000",
        "account_holder_type": "individual",
    }
    return {"type": "us_bank_account", "us_bank_account": account}


async def debited(v1: V1, data: dict[str, Any]) -> Any:
    kind = data["type"]
    params = {
        "amount": 12_500,
        "currency": "usd" if kind == "us_bank_account" else "eur",
        "payment_method_types": [kind],
        "payment_method_data": data,
        "confirm": True,
    }
    return await v1.payment_intents.create_async(params, ON)


@pytest.mark.parametrize(
    ("data", "ends", "code"),
    [
        (sepa("AT611904300234573201"), "succeeded", None),
        (sepa("DE89 3704 0044 0532 0130 00"), "succeeded", None),
        (sepa("AT861904300235473202"), "requires_payment_method", "debit_not_authorized"),
        (sepa("DE62370400440532013001"), "requires_payment_method", "debit_not_authorized"),
        (sepa("AT981904300002222227"), "requires_payment_method", "insufficient_funds"),
        (ach("000123456789"), "succeeded", None),
        (ach("000111111113"), "requires_payment_method", "account_closed"),
        (ach("000111111116"), "requires_payment_method", "no_account"),
        (ach("000222222227"), "requires_payment_method", "insufficient_funds"),
        (ach("000444444440"), "requires_payment_method", "invalid_currency"),
    ],
)
async def test_the_bank_answers_by_itself_after_a_while(
    v1: V1, sandbox: RunningSandbox, inbox: Inbox, data: dict[str, Any], ends: str, code: str | None
) -> None:
    await sandbox.control("PUT", "/bank", {"seconds": 0.05})
    intent = await debited(v1, data)
    assert intent.status == "processing"

    last = "payment_intent.succeeded" if ends == "succeeded" else "payment_intent.payment_failed"
    await inbox.wait_for(last)

    after = await v1.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]}, ON)
    assert (after.status, after.latest_charge.failure_code) == (ends, code)
    assert set(inbox.types) >= {"payment_intent.processing", "charge.pending", last}


@pytest.mark.parametrize(
    "data", [sepa("AT591904300235473203"), sepa("DE35370400440532013002"), ach("000555555559")]
)
async def test_a_debit_that_the_payer_takes_back_is_a_lost_dispute(
    v1: V1, sandbox: RunningSandbox, inbox: Inbox, data: dict[str, Any]
) -> None:
    await sandbox.control("PUT", "/bank", {"seconds": 0.05})
    intent = await debited(v1, data)
    await inbox.wait_for("charge.dispute.closed")

    [dispute] = (await v1.disputes.list_async({"payment_intent": intent.id}, ON)).data
    after = await v1.payment_intents.retrieve_async(intent.id, None, ON)
    assert (after.status, dispute.status, dispute.reason) == ("succeeded", "lost", "debit_not_authorized")
    assert dispute.balance_transactions[0].net == -12_500 - 1_500


async def test_without_a_time_a_debit_waits_to_be_settled_and_some_wait_for_ever(
    v1: V1, sandbox: RunningSandbox, inbox: Inbox
) -> None:
    await sandbox.control("PUT", "/bank", {"seconds": 0})
    for_ever = await debited(v1, ach("000000000009"))
    by_itself = await debited(v1, ach("000123456789"))
    await inbox.wait_for("payment_intent.succeeded")
    assert (await v1.payment_intents.retrieve_async(by_itself.id, None, ON)).status == "succeeded"
    assert (await v1.payment_intents.retrieve_async(for_ever.id, None, ON)).status == "processing"
    path = f"/accounts/{ACCOUNT}/payment_intents/{for_ever.id}/settle"
    await sandbox.control("POST", path, {"outcome": "failed"})
    assert (
        await v1.payment_intents.retrieve_async(for_ever.id, None, ON)
    ).status == "requires_payment_method"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (sepa("AT511904300000066666"), "bank_account_unusable"),
        (sepa("AT981904300000343434"), "charge_exceeds_source_limit"),
        (ach("000777777771"), "payment_intent_payment_attempt_failed"),
        (sepa("DE89370400440532013009"), "invalid_bank_account_iban"),
    ],
)
async def test_what_cannot_be_debited_is_refused_at_once(v1: V1, data: dict[str, Any], code: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await debited(v1, data)
    assert refused.value.code == code


async def test_only_a_us_debit_can_be_canceled_while_it_is_processing(v1: V1) -> None:
    american, european = (
        await debited(v1, ach("000123456789")),
        await debited(v1, sepa("AT611904300234573201")),
    )

    canceled = await v1.payment_intents.cancel_async(american.id, None, ON)
    with pytest.raises(stripe.InvalidRequestError, match="status of processing"):
        await v1.payment_intents.cancel_async(european.id, None, ON)

    assert canceled.status == "canceled"


def test_every_iban_that_means_something_is_one() -> None:
    assert [iban for iban in banks.SEPA if banks.iban_of(iban) != iban] == []
