"""The sandbox's answers and webhook bodies against Stripe's own OpenAPI document."""

import json
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from deploy.sandbox.embedded import RunningSandbox, running_sandbox
from deploy.sandbox.params import spec
from deploy.sandbox.testing import Inbox, webhook_inbox

ACCOUNT = "acct_contract0000001"
IBAN = "DE89370400440532013000"
LIST = {"object", "data", "has_more", "url"}
Json = dict[str, Any]


class Client:
    """Calls the sandbox and checks every answer against the document."""

    def __init__(self, sandbox: RunningSandbox, http: httpx2.AsyncClient) -> None:
        self.sandbox = sandbox
        self.http = http

    async def post(self, path: str, expected: int = 200, **form: Any) -> Json:
        return self.checked(await self.http.post(f"/v1/{path}", data=bracketed(form)), expected)

    async def get(self, path: str, expected: int = 200, **query: Any) -> Json:
        return self.checked(await self.http.get(f"/v1/{path}", params=query), expected)

    def checked(self, answer: httpx2.Response, expected: int) -> Json:
        body: Json = answer.json()
        assert answer.status_code == expected, body
        complaints = list(wrong_with(body))
        assert complaints == [], complaints
        return body


def bracketed(form: Json) -> Json:
    """The form with Stripe's names: `a__b__0` becomes `a[b][0]`."""
    names = (name.split("__") for name in form)
    return dict(
        zip((head + "".join(f"[{key}]" for key in rest) for head, *rest in names), form.values(), strict=True)
    )


def wrong_with(body: Json) -> list[str]:
    """The errors of an answer, a list of answers or an error body, by the document."""
    if body.get("object") == "list":
        assert set(body) == LIST
        return [complaint for item in body["data"] for complaint in wrong_with(item)]
    if body.get("deleted"):
        return _complaints("deleted_customer", body)
    if "error" in body:
        return _complaints("error", body)
    event = wrong_with(body["data"]["object"]) if body["object"] == "event" else []
    return event + _complaints(body["object"], body)


def _complaints(shape: str, body: Json) -> list[str]:
    return [
        f"{shape} at {list(error.instance_path)}: {error.message}"
        for error in _validator(shape).iter_errors(body)
    ]


@cache
def _validator(shape: str) -> Any:
    schema = {"$ref": f"#/$defs/{shape}", "$defs": _strict(spec()["$defs"])}
    return jsonschema_rs.validator_for(schema)


def _strict(node: Any) -> Any:
    """The schema, which also refuses fields that the document does not have."""
    if isinstance(node, list):
        return [_strict(value) for value in node]
    if not isinstance(node, dict):
        return node
    read = {key: _strict(value) for key, value in node.items()}
    if isinstance(read.get("properties"), dict) and read.get("type") == "object":
        read.setdefault("additionalProperties", False)
    return read


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
    for resource in (
        "customers",
        "payment_intents",
        "setup_intents",
        "charges",
        "refunds",
        "events",
        "balance_transactions",
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
    await client.sandbox.control("PUT", f"/accounts/{ACCOUNT}", {"charges_enabled": False})
    client.checked(await client.http.delete(f"/v1/customers/{customer['id']}"), 200)
    await client.get(f"customers/{customer['id']}")


async def _cards(client: Client, customer: str) -> None:
    paid = await _an_intent(
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
        declined = await _an_intent(client)
        confirm = f"payment_intents/{declined['id']}/confirm"
        await client.post(confirm, 402, payment_method=token, return_url="https://x/")
        await client.post(f"payment_intents/{declined['id']}/cancel", cancellation_reason="abandoned")
        await client.post(f"payment_intents/{declined['id']}/cancel", 400)
    await client.post(f"payment_methods/{charge['payment_method']}/detach")


async def _challenges(client: Client) -> None:
    by_card: Json = {"payment_method": "pm_card_threeDSecure2Required"}
    for method, outcome in (("card", True), ("card", False), ("paypal", True), ("ideal", False)):
        intent = await _an_intent(client, automatic=False, payment_method_types__0=method)
        data: Json = by_card if method == "card" else {"payment_method_data__type": method}
        confirm = f"payment_intents/{intent['id']}/confirm"
        waiting = await client.post(confirm, return_url="https://shop.example/", **data)
        await client.http.post(
            waiting["next_action"]["redirect_to_url"]["url"],
            data={"outcome": "succeeded" if outcome else "failed"},
        )
        ended = await client.get(f"payment_intents/{intent['id']}")
        assert ended["status"] == ("succeeded" if outcome else "requires_payment_method")
    await _an_intent(
        client, 402, confirm="true", off_session="true", payment_method="pm_card_authenticationRequired",
        return_url="https://x/",
    )  # fmt: skip


async def _bank_debit(client: Client) -> None:
    for outcome in ("succeeded", "failed"):
        intent = await _an_intent(client, automatic=False, payment_method_types__0="sepa_debit")
        processing = await client.post(
            f"payment_intents/{intent['id']}/confirm",
            payment_method_data__type="sepa_debit",
            payment_method_data__sepa_debit__iban=IBAN,
        )
        assert processing["status"] == "processing"
        path = f"/accounts/{ACCOUNT}/payment_intents/{intent['id']}/settle"
        await client.sandbox.control("POST", path, {"outcome": outcome})
        await client.get(f"payment_intents/{intent['id']}")


async def _refunds(client: Client) -> None:
    """Refund by charge and by intent; at once, pending, canceled, and failed after a success."""
    for token, outcome in (
        ("pm_card_visa", None),
        ("pm_card_pendingRefund", "succeeded"),
        ("pm_card_pendingRefund", "canceled"),
        ("pm_card_refundFail", "failed"),
    ):
        intent = await _an_intent(client)
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


async def _an_intent(client: Client, expected: int = 200, automatic: bool = True, **form: Any) -> Json:
    if automatic:
        form["automatic_payment_methods__enabled"] = "true"
    return await client.post("payment_intents", expected, amount=12500, currency="eur", **form)


async def test_answers_and_webhooks_are_as_stripe_documents_them(client: Client, inbox: Inbox) -> None:
    await tour(client)

    events = (await client.get("events", limit=100))["data"]
    hooks = await inbox.wait_for_any(len(events))
    assert [complaint for hook in hooks for complaint in wrong_with(hook.event)] == []
    assert {hook.event["type"] for hook in hooks} >= {
        "account.updated",
        "charge.failed",
        "charge.pending",
        "charge.refund.updated",
        "charge.refunded",
        "charge.succeeded",
        "customer.created",
        "payment_intent.canceled",
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payment_method.attached",
        "payment_method.detached",
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
