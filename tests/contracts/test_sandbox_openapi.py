"""The sandbox's answers and webhook bodies against Stripe's own OpenAPI document."""

import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from deploy.sandbox.embedded import running_sandbox
from deploy.sandbox.testing import Inbox, webhook_inbox
from tests.contracts import tour as tour_of
from tests.contracts.documented import ACCOUNT, Client, Json, an_intent, wrong_with

IBAN = "DE89370400440532013000"


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    async with webhook_inbox() as inbox:
        yield inbox


@pytest.fixture
async def client(inbox: Inbox) -> AsyncIterator[Client]:
    async with running_sandbox(inbox.url) as sandbox:
        await sandbox.control("PUT", f"/accounts/{ACCOUNT}", {})
        headers = {"Authorization": f"Bearer {sandbox.secret_key}", "Stripe-Account": ACCOUNT}
        async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as http:
            yield Client(sandbox, http)


async def tour(client: Client) -> None:
    """Call every resource, take a payment to every end, and check each answer."""
    customer = await client.post("customers", name="A client", metadata__client_id="c-1")
    await client.post(f"customers/{customer['id']}", description="changed")
    await _cards(client, customer["id"])
    await _challenges(client)
    await _bank_debit(client)
    await _refunds(client)
    await _setups(client, customer["id"])
    await tour_of.captures(client)
    await tour_of.disputes(client)
    await tour_of.payouts(client)
    await tour_of.operators_objects(client)
    for resource in (
        "customers",
        "payment_intents",
        "setup_intents",
        "charges",
        "refunds",
        "events",
        "balance_transactions",
        "disputes",
        "payouts",
        "webhook_endpoints",
        "payment_method_domains",
    ):
        listed = await client.get(resource, limit=100)
        assert listed["data"], resource
    account = await client.post("accounts", type="standard", country="IE", email="clinic@example.com")
    for path in (
        f"accounts/{account['id']}",
        "accounts",
        "account",
        f"customers/{customer['id']}/payment_methods",
    ):
        await client.get(path)
    await client.post(f"accounts/{account['id']}", metadata__clinic="c-1")
    client.checked(await client.http.delete(f"/v1/accounts/{account['id']}"), 200)
    await client.get(f"accounts/{account['id']}", 403)
    await client.sandbox.control(
        "PUT", f"/accounts/{ACCOUNT}", {"charges_enabled": False, "card_payments": "inactive"}
    )
    await an_intent(client, 400)
    client.checked(await client.http.delete(f"/v1/customers/{customer['id']}"), 200)
    await client.get(f"customers/{customer['id']}")


async def _cards(client: Client, customer: str) -> None:
    paid = await an_intent(
        client, customer=customer, setup_future_usage="off_session", metadata__payment_id="p-1"
    )
    await client.post(f"payment_intents/{paid['id']}", metadata__more="yes", description="Invoice 2031-0042")
    await client.post(
        f"payment_intents/{paid['id']}/confirm", payment_method="pm_card_visa", return_url="https://x/"
    )
    whole = await client.http.get(
        f"/v1/payment_intents/{paid['id']}",
        params={
            "expand[0]": "latest_charge.balance_transaction",
            "expand[1]": "payment_method",
            "expand[2]": "customer",
        },
    )
    charge = client.checked(whole, 200)["latest_charge"]
    await client.get(f"charges/{charge['id']}")
    await client.get(f"balance_transactions/{charge['balance_transaction']['id']}")
    await client.get(f"payment_methods/{charge['payment_method']}")
    for token in (
        "pm_card_chargeDeclined",
        "pm_card_chargeDeclinedExpiredCard",
        "pm_card_chargeDeclinedIncorrectCvc",
    ):
        declined = await an_intent(client)
        confirm = f"payment_intents/{declined['id']}/confirm"
        await client.post(confirm, 402, payment_method=token, return_url="https://x/")
        await client.post(f"payment_intents/{declined['id']}/cancel", cancellation_reason="abandoned")
        await client.post(f"payment_intents/{declined['id']}/cancel", 400)
    await client.post(f"payment_methods/{charge['payment_method']}/detach")


async def _challenges(client: Client) -> None:
    by_card: Json = {"payment_method": "pm_card_threeDSecure2Required"}
    for method, outcome in (("card", True), ("card", False), ("paypal", True), ("ideal", False)):
        intent = await an_intent(client, automatic=False, payment_method_types__0=method)
        data: Json = by_card if method == "card" else {"payment_method_data__type": method}
        confirm = f"payment_intents/{intent['id']}/confirm"
        waiting = await client.post(confirm, return_url="https://shop.example/", **data)
        await client.http.post(
            waiting["next_action"]["redirect_to_url"]["url"],
            data={"outcome": "succeeded" if outcome else "failed"},
        )
        ended = await client.get(f"payment_intents/{intent['id']}")
        assert ended["status"] == ("succeeded" if outcome else "requires_payment_method")
    await an_intent(
        client, 402, confirm="true", off_session="true", payment_method="pm_card_authenticationRequired",
        return_url="https://x/",
    )  # fmt: skip


async def _bank_debit(client: Client) -> None:
    for outcome in ("succeeded", "failed"):
        intent = await an_intent(client, automatic=False, payment_method_types__0="sepa_debit")
        processing = await client.post(
            f"payment_intents/{intent['id']}/confirm",
            payment_method_data__type="sepa_debit",
            payment_method_data__sepa_debit__iban=IBAN,
        )
        assert processing["status"] == "processing"
        path = f"/accounts/{ACCOUNT}/payment_intents/{intent['id']}/settle"
        await client.sandbox.control("POST", path, {"outcome": outcome})
        await client.get(f"payment_intents/{intent['id']}")

    await client.post(
        "payment_intents", amount=500, currency="usd", confirm="true", payment_method_types__0="us_bank_account",
        payment_method_data__type="us_bank_account",
        payment_method_data__us_bank_account__account_number="000123456789",
        payment_method_data__us_bank_account__routing_number="110000000",
        payment_method_data__us_bank_account__account_holder_type="individual",
    )  # fmt: skip


async def _refunds(client: Client) -> None:
    """Refund by charge and by intent; at once, pending, canceled, and failed after a success."""
    for token, outcome in (
        ("pm_card_visa", None),
        ("pm_card_pendingRefund", "succeeded"),
        ("pm_card_pendingRefund", "canceled"),
        ("pm_card_refundFail", "failed"),
    ):
        intent = await an_intent(client)
        confirm = f"payment_intents/{intent['id']}/confirm"
        paid = await client.post(confirm, payment_method=token, return_url="https://x/")
        part = await client.post(
            "refunds", charge=paid["latest_charge"], amount=500, metadata__refund_id="r-1"
        )
        await client.post("refunds", 400, payment_intent=intent["id"], amount=12_001)
        await client.post("refunds", payment_intent=intent["id"], reason="requested_by_customer")
        await client.post("refunds", 400, payment_intent=intent["id"])
        if outcome:
            path = f"/accounts/{ACCOUNT}/refunds/{part['id']}/settle"
            await client.sandbox.control("POST", path, {"outcome": outcome})
        await client.get(f"refunds/{part['id']}")
        await client.get(f"charges/{paid['latest_charge']}")
    await client.get("refunds", payment_intent=intent["id"])
    await client.post("refunds", 400, amount=5)


async def _setups(client: Client, customer: str) -> None:
    for token, expected in (("pm_card_mastercard", 200), ("pm_card_chargeDeclined", 402)):
        setup = await client.post(
            "setup_intents", customer=customer, payment_method_types__0="card", usage="off_session"
        )
        await client.post(f"setup_intents/{setup['id']}/confirm", expected, payment_method=token)
    await client.post(f"setup_intents/{setup['id']}/cancel")
    setup = await client.post("setup_intents", customer=customer, payment_method_types__0="card")
    confirm = f"setup_intents/{setup['id']}/confirm"
    waiting = await client.post(confirm, payment_method="pm_card_authenticationRequiredOnSetup")
    await client.http.post(
        waiting["next_action"]["use_stripe_sdk"]["stripe_js"], data={"outcome": "failed", "framed": "1"}
    )
    failed = await client.get(f"setup_intents/{setup['id']}")
    assert failed["last_setup_error"]["code"] == "setup_intent_authentication_failure"


async def test_answers_and_webhooks_are_as_stripe_documents_them(client: Client, inbox: Inbox) -> None:
    await tour(client)

    made = (await client.sandbox.control("GET", "/counts"))["objects"]["event"]
    hooks = await inbox.wait_for_any(made)
    assert [complaint for hook in hooks for complaint in wrong_with(hook.event)] == []
    assert {hook.event["type"] for hook in hooks} >= {
        "account.application.deauthorized",
        "account.updated",
        "capability.updated",
        "charge.captured",
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.failed",
        "charge.pending",
        "charge.refund.updated",
        "charge.refunded",
        "charge.succeeded",
        "customer.created",
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payment_method.attached",
        "payment_method.detached",
        "payout.canceled",
        "payout.created",
        "payout.failed",
        "payout.updated",
        "radar.early_fraud_warning.created",
        "refund.created",
        "refund.failed",
        "refund.updated",
        "setup_intent.canceled",
        "setup_intent.setup_failed",
        "setup_intent.succeeded",
    }


async def test_refusals_are_shaped_as_stripe_documents_them(client: Client) -> None:
    for path, expected, form in (
        ("payment_intents", 400, {"amount": "x", "currency": "eur"}),
        ("payment_intents", 400, {"amount": 100, "currency": "eur", "surprise": 1}),
        ("payment_intents", 400, {"amount": 100}),
        ("payment_intents/pi_none/confirm", 404, {}),
        ("nothing", 404, {}),
    ):
        await client.post(path, expected, **form)
    client.checked(
        await client.http.get("/v1/account", headers={"Authorization": "Bearer sk_test_wrong"}), 401
    )
    client.checked(await client.http.get("/v1/account", headers={"Stripe-Account": "acct_none"}), 403)


def test_the_check_would_notice() -> None:
    shape = json.loads('{"id": "pi_1", "object": "payment_intent", "status": "odd", "surprise": 1}')

    complaints = "\n".join(wrong_with(shape))

    assert "surprise" in complaints
    assert "odd" in complaints
    assert "created" in complaints
