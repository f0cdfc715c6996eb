"""Idempotency keys by Stripe's rules, and calls that fail on demand, as the official SDK sees them."""

import asyncio

import pytest
import stripe

from deploy.sandbox.embedded import RunningSandbox
from tests.running.sandbox import BACK, ON, V1, an_intent, client_of


async def test_a_key_gives_the_same_answer_once_more(v1: V1, sandbox: RunningSandbox) -> None:
    first = await an_intent(v1, key="k-1")
    again = await an_intent(v1, key="k-1")

    headers = again.last_response.headers
    assert again.id == first.id
    assert headers["idempotent-replayed"] == "true"
    assert headers["original-request"] == first.last_response.headers["request-id"]
    assert headers["request-id"] != headers["original-request"]
    with pytest.raises(stripe.IdempotencyError):
        await an_intent(v1, key="k-1", metadata={"other": "1"})
    with pytest.raises(stripe.IdempotencyError):
        await v1.customers.create_async({}, {**ON, "idempotency_key": "k-1"})
    await sandbox.control("PUT", "/accounts/acct_other", {})
    elsewhere = await v1.customers.create_async(
        {}, {"stripe_account": "acct_other", "idempotency_key": "k-1"}
    )
    assert elsewhere.id.startswith("cus_")


async def test_a_decline_is_kept_and_a_refused_parameter_is_not(v1: V1, sandbox: RunningSandbox) -> None:
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            await an_intent(
                v1, key="d", payment_method="pm_card_chargeDeclined", confirm=True, return_url=BACK
            )
    with pytest.raises(stripe.InvalidRequestError):
        await an_intent(v1, key="v", surprise="1")
    fine = await an_intent(v1, key="v")

    assert (await sandbox.control("GET", "/counts"))["objects"]["charge"] == 1
    assert fine.status == "requires_payment_method"


async def test_a_key_in_use_is_a_conflict(v1: V1, sandbox: RunningSandbox) -> None:
    await sandbox.control(
        "POST", "/faults/api", {"kind": "latency", "path": "/v1/payment_intents", "seconds": 0.3}
    )

    results = await asyncio.gather(
        an_intent(v1, key="twice"), an_intent(v1, key="twice"), return_exceptions=True
    )

    conflicts = [result for result in results if isinstance(result, stripe.StripeError)]
    assert [(error.http_status, error.error and error.error.code) for error in conflicts] == [
        (409, "idempotency_key_in_use")
    ]


async def test_server_errors_are_kept_before_and_after_the_effect(v1: V1, sandbox: RunningSandbox) -> None:
    for kind, made in (("500_before", 0), ("500_after", 1)):
        await sandbox.control("POST", "/faults/api", {"kind": kind, "method": "POST"})
        for _ in range(2):
            with pytest.raises(stripe.APIError) as caught:
                await an_intent(v1, key=kind)
            assert caught.value.http_status == 500
        assert len((await v1.payment_intents.list_async({}, ON)).data) == made


async def test_a_call_that_never_answers_has_still_had_its_effect(sandbox: RunningSandbox, v1: V1) -> None:
    await sandbox.control("POST", "/faults/api", {"kind": "timeout_after", "path": "/v1/payment_intents"})
    with pytest.raises(stripe.APIConnectionError):
        await an_intent(client_of(sandbox, timeout=0.3), key="lost")
    found = await an_intent(v1, key="lost")

    assert found.last_response.headers["idempotent-replayed"] == "true"
    assert len((await v1.payment_intents.list_async({}, ON)).data) == 1


async def test_too_many_requests_come_before_the_keys(v1: V1, sandbox: RunningSandbox) -> None:
    await sandbox.control("POST", "/faults/api", {"kind": "429", "path": "/v1/payment_intents"})

    with pytest.raises(stripe.RateLimitError):
        await an_intent(v1, key="busy")

    assert (await an_intent(v1, key="busy")).id


async def test_a_key_is_forgotten_after_a_day(v1: V1, sandbox: RunningSandbox) -> None:
    first = await an_intent(v1, key="day")

    await sandbox.control("POST", "/clock", {"offset_seconds": 90_000})

    assert (await an_intent(v1, key="day")).id != first.id
