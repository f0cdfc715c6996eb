"""The sandbox as the official SDK sees it: payments, saved cards, accounts, idempotency, faults."""

from typing import Any

import httpx2
import pytest
import stripe

from deploy.sandbox.embedded import RunningSandbox
from deploy.sandbox.testing import Inbox
from tests.running.sandbox import ACCOUNT, BACK, ON, V1, an_intent, confirm


@pytest.mark.parametrize(
    ("amount", "currency", "code", "words"),
    [
        (12500, "xyz", None, "Invalid currency: xyz. Stripe currently supports these currencies: usd, aed"),
        (0, "eur", "parameter_invalid_integer", "greater than or equal to 1"),
        (49, "eur", "amount_too_small", "at least €0.50 eur"),
        (6_400, "kes", "amount_too_small", "64.00 converts to approximately $0.50"),
        (10**12, "eur", "amount_too_large", "no more than"),
        (5_124, "kwd", None, "divisible by 10"),
        (10_050, "isk", None, "divisible by 100"),
    ],
)
async def test_a_currencys_rules_are_stripes(
    v1: V1, amount: int, currency: str, code: str | None, words: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await an_intent(v1, amount=amount, currency=currency)
    assert (refused.value.http_status, refused.value.code) == (400, code)
    assert words in str(refused.value)


async def test_each_way_to_pay_has_its_largest_amount(v1: V1) -> None:
    by_card = await an_intent(v1, amount=10**9, currency="eur")
    with pytest.raises(stripe.InvalidRequestError, match="no more than"):
        await confirm(v1, by_card.id, "pm_card_amex")
    with pytest.raises(stripe.InvalidRequestError, match="no more than"):
        await an_intent(
            v1, amount=10**8, automatic_payment_methods={"enabled": False}, payment_method_types=["paypal"]
        )
    paid = await confirm(v1, by_card.id, "pm_card_visa")

    assert (paid.status, paid.amount_received) == ("succeeded", 10**9)


async def test_a_currency_that_no_payment_system_takes_has_none_to_offer(v1: V1) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No valid payment method types"):
        await an_intent(v1, amount=100_000, currency="isk", excluded_payment_method_types=["card"])


async def test_a_page_holds_as_many_as_fit_not_as_many_as_were_looked_at(v1: V1) -> None:
    first = await v1.customers.create_async({"name": "Kept"}, ON)
    for _ in range(3):
        gone = await v1.customers.create_async({"name": "Gone"}, ON)
        await v1.customers.delete_async(gone.id, None, ON)
    for number in range(3):
        await v1.payment_method_domains.create_async({"domain_name": f"pay{number}.example.com"}, ON)

    customers = await v1.customers.list_async({"limit": 1}, ON)
    domains = await v1.payment_method_domains.list_async({"domain_name": "pay0.example.com", "limit": 1}, ON)

    assert ([each.id for each in customers.data], customers.has_more) == ([first.id], False)
    assert ([each.domain_name for each in domains.data], domains.has_more) == (["pay0.example.com"], False)


async def test_create_confirm_and_webhook_that_the_sdk_verifies(
    v1: V1, sandbox: RunningSandbox, inbox: Inbox
) -> None:
    intent = await an_intent(v1, metadata={"payment_id": "p-1"})
    paid = await confirm(v1, intent.id, "pm_card_visa", expand=["latest_charge.balance_transaction"])

    hook = await inbox.wait_for("payment_intent.succeeded")
    event = stripe.Webhook.construct_event(
        hook.body, hook.headers["stripe-signature"], sandbox.webhook_secret
    )

    assert paid.status == "succeeded"
    assert paid.amount_received == 12500
    assert paid.latest_charge.metadata["payment_id"] == "p-1"
    assert paid.latest_charge.payment_method_details.card.last4 == "4242"
    assert paid.latest_charge.balance_transaction.net == 12500 - 213
    assert (event.account, event.livemode, event.api_version) == (ACCOUNT, False, "2026-08-26.dahlia")
    assert event.data.object.id == intent.id
    assert inbox.types[-2:] == ["charge.succeeded", "payment_intent.succeeded"]
    assert "traceparent" not in hook.headers


@pytest.mark.parametrize(
    ("token", "code", "reason"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ],
)
async def test_a_declined_card_leaves_the_intent_open(
    v1: V1, inbox: Inbox, token: str, code: str, reason: str
) -> None:
    intent = await an_intent(v1)

    with pytest.raises(stripe.CardError) as caught:
        await confirm(v1, intent.id, token)
    after = await v1.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]}, ON)

    error: Any = caught.value.error
    assert (error.code, error.decline_code, error.payment_intent["status"]) == (
        code,
        reason,
        "requires_payment_method",
    )
    assert after.last_payment_error.code == code
    assert after.payment_method is None
    assert (after.latest_charge.status, after.latest_charge.failure_code) == ("failed", code)
    assert (await confirm(v1, intent.id, "pm_card_visa")).status == "succeeded"
    assert (await inbox.wait_for("payment_intent.payment_failed")).event["data"]["object"]["id"] == intent.id


async def test_each_account_has_its_own_objects(v1: V1, sandbox: RunningSandbox) -> None:
    await sandbox.control("PUT", "/accounts/acct_other", {})
    intent = await an_intent(v1)

    with pytest.raises(stripe.InvalidRequestError, match="No such payment_intent"):
        await v1.payment_intents.retrieve_async(intent.id, None, {"stripe_account": "acct_other"})
    with pytest.raises(stripe.InvalidRequestError, match="No such payment_intent"):
        await v1.payment_intents.retrieve_async(intent.id)
    with pytest.raises(stripe.PermissionError, match="acct_nowhere"):
        await v1.payment_intents.retrieve_async(intent.id, None, {"stripe_account": "acct_nowhere"})


async def test_a_saved_card_pays_again_off_session(v1: V1) -> None:
    customer = await v1.customers.create_async({}, ON)
    first = await an_intent(v1, customer=customer.id, setup_future_usage="off_session")
    paid = await confirm(v1, first.id, "pm_card_mastercard")

    saved = await v1.customers.payment_methods.list_async(customer.id, {"type": "card"}, ON)
    again = await an_intent(
        v1,
        customer=customer.id,
        payment_method=saved.data[0].id,
        confirm=True,
        off_session=True,
        return_url=BACK,
    )
    await v1.payment_methods.detach_async(saved.data[0].id, None, ON)

    assert [method.id for method in saved.data] == [paid.payment_method]
    assert again.status == "succeeded"
    assert (await v1.customers.payment_methods.list_async(customer.id, {}, ON)).data == []
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        await an_intent(v1, customer=customer.id, payment_method=saved.data[0].id)


async def test_a_card_that_wants_authentication_is_declined_off_session_until_set_up(v1: V1) -> None:
    customer = await v1.customers.create_async({}, ON)
    setup = await v1.setup_intents.create_async(
        {"customer": customer.id, "payment_method_types": ["card"]}, ON
    )
    method = await v1.payment_methods.attach_async(
        "pm_card_authenticationRequiredOnSetup", {"customer": customer.id}, ON
    )
    pay = {"customer": customer.id, "payment_method": method.id, "confirm": True, "off_session": True}

    with pytest.raises(stripe.CardError) as caught:
        await an_intent(v1, return_url=BACK, **pay)
    asked = await v1.setup_intents.confirm_async(setup.id, {"payment_method": method.id}, ON)
    async with httpx2.AsyncClient(trust_env=False) as browser:
        await browser.post(
            asked.next_action.use_stripe_sdk["stripe_js"], data={"outcome": "succeeded", "framed": "1"}
        )
    paid = await an_intent(v1, return_url=BACK, **pay)

    assert caught.value.code == "authentication_required"
    assert paid.status == "succeeded"


async def test_a_server_that_confirms_must_say_where_redirects_come_back(v1: V1) -> None:
    intent = await an_intent(v1)

    with pytest.raises(stripe.InvalidRequestError, match="return_url"):
        await v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"}, ON)

    assert (await v1.payment_intents.retrieve_async(intent.id, None, ON)).status == "requires_payment_method"


async def test_what_has_ended_cannot_be_confirmed_canceled_or_changed(v1: V1) -> None:
    paid, gone = await an_intent(v1), await an_intent(v1)
    await confirm(v1, paid.id, "pm_card_visa")
    canceled = await v1.payment_intents.cancel_async(gone.id, {"cancellation_reason": "abandoned"}, ON)

    for attempt in (
        confirm(v1, paid.id, "pm_card_visa"),
        confirm(v1, gone.id, "pm_card_visa"),
        v1.payment_intents.cancel_async(paid.id, None, ON),
        v1.payment_intents.update_async(paid.id, {"amount": 1}, ON),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            await attempt
        assert caught.value.code == "payment_intent_unexpected_state"
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")


async def test_lists_go_by_page_and_by_time(v1: V1, sandbox: RunningSandbox) -> None:
    await sandbox.control("POST", "/clock", {"offset_seconds": -864_000})
    old = await an_intent(v1)
    await sandbox.control("POST", "/clock", {"offset_seconds": 0})
    new = [await an_intent(v1) for _ in range(4)]

    recent = await v1.payment_intents.list_async({"created": {"gte": new[0].created}, "limit": 3}, ON)
    rest = await v1.payment_intents.list_async({"starting_after": recent.data[-1].id, "limit": 3}, ON)
    back = await v1.payment_intents.list_async({"ending_before": recent.data[-1].id, "limit": 1}, ON)

    assert [intent.id for intent in recent.data] == [intent.id for intent in reversed(new[1:])]
    assert recent.has_more
    assert [intent.id for intent in rest.data] == [new[0].id, old.id]
    assert [intent.id for intent in back.data] == [recent.data[-2].id]


async def test_events_are_listed_by_type_and_cursor(v1: V1) -> None:
    intent = await an_intent(v1)
    await confirm(v1, intent.id, "pm_card_visa")

    all_events = (await v1.events.list_async({}, ON)).data
    chosen = await v1.events.list_async({"types": ["charge.succeeded", "payment_intent.succeeded"]}, ON)
    newer = await v1.events.list_async({"ending_before": all_events[-1].id}, ON)

    assert [event.type for event in chosen.data] == ["payment_intent.succeeded", "charge.succeeded"]
    assert [event.id for event in newer.data] == [event.id for event in all_events[:-1]]
    assert (await v1.events.list_async({})).data == []


async def test_the_publishable_key_opens_only_what_its_secret_names(v1: V1, sandbox: RunningSandbox) -> None:
    intent = await an_intent(v1, metadata={"private": "1"})
    access = {"key": sandbox.publishable_key, "_stripe_account": ACCOUNT}
    url = f"/v1/payment_intents/{intent.id}"
    async with httpx2.AsyncClient(base_url=sandbox.url, trust_env=False) as browser:
        seen = await browser.get(url, params={**access, "client_secret": intent.client_secret})
        guessed = await browser.get(url, params={**access, "client_secret": "pi_1_secret_no"})
        listed = await browser.get("/v1/payment_intents", params=access)
        canceled = await browser.post(f"{url}/cancel", data=access)

    assert seen.json()["status"] == "requires_payment_method"
    assert "metadata" not in seen.json()
    assert [guessed.status_code, listed.status_code, canceled.status_code] == [400, 403, 403]
    assert seen.headers["access-control-allow-origin"] == "*"


async def test_a_bank_debit_is_settled_later(v1: V1, sandbox: RunningSandbox, inbox: Inbox) -> None:
    intent = await an_intent(
        v1, automatic_payment_methods={"enabled": False}, payment_method_types=["sepa_debit"]
    )
    debit = {"type": "sepa_debit", "sepa_debit": {"iban": "DE89370400440532013000"}}
    waiting = await v1.payment_intents.confirm_async(intent.id, {"payment_method_data": debit}, ON)

    path = f"/accounts/{ACCOUNT}/payment_intents/{intent.id}/settle"
    await sandbox.control("POST", path, {"outcome": "succeeded"})
    paid = await inbox.wait_for("payment_intent.succeeded")

    assert waiting.status == "processing"
    assert paid.event["data"]["object"]["status"] == "succeeded"
    assert "payment_intent.processing" in inbox.types


async def test_the_control_api_asks_for_the_secret_key(sandbox: RunningSandbox) -> None:
    async with httpx2.AsyncClient(base_url=sandbox.url, trust_env=False) as anybody:
        assert (await anybody.get("/_sandbox/requests")).status_code == 401
        assert (await anybody.get("/healthz/ready")).json() == {
            "status": "ready",
            "checks": {"database": "ok"},
        }
