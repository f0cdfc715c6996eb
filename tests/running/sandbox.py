"""The sandbox through the official SDK: a client of one account, and calls that most tests begin with."""

from typing import Any

import stripe

from deploy.sandbox.embedded import RunningSandbox

ACCOUNT = "acct_service000000001"
ON: Any = {"stripe_account": ACCOUNT}
BACK = "https://shop.example/back"
V1 = Any


def client_of(sandbox: RunningSandbox, timeout: float = 20) -> V1:
    """The official SDK, without its own retries."""
    return stripe.StripeClient(
        sandbox.secret_key,
        base_addresses={"api": sandbox.url},
        http_client=stripe.HTTPXClient(timeout=timeout),
        max_network_retries=0,
    ).v1


async def an_intent(v1: V1, key: str | None = None, **more: Any) -> Any:
    given = {"amount": 12500, "currency": "eur", "automatic_payment_methods": {"enabled": True}, **more}
    return await v1.payment_intents.create_async(given, {**ON, **({"idempotency_key": key} if key else {})})


async def confirm(v1: V1, intent: str, method: str, **more: Any) -> Any:
    return await v1.payment_intents.confirm_async(
        intent, {"payment_method": method, "return_url": BACK, **more}, ON
    )
