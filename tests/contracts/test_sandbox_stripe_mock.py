"""Requests as the sandbox recorded them, put to Stripe's own stripe-mock, which knows every parameter.

`replay` is for any recorded requests: those of the official SDK here, those of the payment service in its tests.
"""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import stripe

from deploy.sandbox.embedded import RunningSandbox, running_sandbox
from deploy.sandbox.openapi.extract import MODULE
from deploy.sandbox.recorder import Recorded

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clinicpay"
needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go to build stripe-mock")


def stripe_mock_binary() -> Path:
    """Build stripe-mock once into the cache."""
    folder = CACHE / MODULE.rsplit("/", 1)[1]
    if not (folder / "stripe-mock").exists():
        environment = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
        subprocess.run(["go", "install", MODULE], check=True, capture_output=True, env=environment, cwd="/")
    return folder / "stripe-mock"


@asynccontextmanager
async def running_stripe_mock() -> AsyncIterator[str]:
    """stripe-mock on a free port; gives its address."""
    binary = await asyncio.to_thread(stripe_mock_binary)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        binary, "-http-port", str(port), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout
        while b"Listening" not in (line := await process.stdout.readline()):
            assert line, "stripe-mock ended before it listened"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def replay(requests: Sequence[Recorded], stripe_mock: str) -> list[str]:
    """Put the server's own requests to stripe-mock; what it refuses, one line each. Browsers' are left out."""
    refused = []
    async with httpx2.AsyncClient(base_url=stripe_mock, trust_env=False) as http:
        for request in requests:
            if request.public:
                continue
            headers = {
                "Authorization": "Bearer sk_test_123",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            url = f"{request.path}?{request.query}" if request.query else request.path
            answer = await http.request(request.method, url, content=request.body, headers=headers)
            if not answer.is_success:
                refused.append(
                    f"{request.method} {url} {request.body}: {answer.status_code} {answer.text[:300]}"
                )
    return refused


@needs_go
async def test_stripe_mock_takes_what_the_official_sdk_sends() -> None:
    async with running_sandbox() as sandbox, running_stripe_mock() as mock:
        await _pay_and_save(sandbox)

        refused = await replay(sandbox.requests(), mock)

    assert refused == []
    assert len(sandbox.requests()) > 8


@needs_go
async def test_stripe_mock_and_the_sandbox_refuse_the_same() -> None:
    wrong = [
        "amount=abc&currency=eur",
        "amount=100&currency=eur&surprise=1",
        "amount=100",
        "amount=100&currency=eur&setup_future_usage=sometimes",
        "amount=100&currency=eur&automatic_payment_methods[odd]=1",
    ]
    async with running_sandbox() as sandbox, running_stripe_mock() as mock:
        for body in wrong:
            for url, key in ((sandbox.url, sandbox.secret_key), (mock, "sk_test_123")):
                headers = {
                    "Authorization": f"Bearer {key}",
                    "Content-Type": "application/x-www-form-urlencoded",
                }
                async with httpx2.AsyncClient(trust_env=False) as http:
                    answer = await http.post(f"{url}/v1/payment_intents", content=body, headers=headers)
                assert answer.status_code == 400, (url, body, answer.text)
                assert answer.json()["error"]["type"] == "invalid_request_error"


async def _pay_and_save(sandbox: RunningSandbox) -> None:
    client: Any = stripe.StripeClient(
        sandbox.secret_key, base_addresses={"api": sandbox.url}, http_client=stripe.HTTPXClient()
    ).v1
    account = await client.accounts.create_async({"type": "standard", "country": "IE"})
    on: Any = {"stripe_account": account.id}
    customer = await client.customers.create_async(
        {"metadata": {"client_id": "c-1"}}, {**on, "idempotency_key": "c-1"}
    )
    intent = await client.payment_intents.create_async(
        {
            "amount": 12500,
            "currency": "eur",
            "customer": customer.id,
            "automatic_payment_methods": {"enabled": True},
            "setup_future_usage": "off_session",
            "metadata": {
                "payment_id": "p-1",
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            },
        },
        {**on, "idempotency_key": "p-1"},
    )
    await client.payment_intents.update_async(intent.id, {"metadata": {"more": "1"}}, on)
    paid = await client.payment_intents.confirm_async(
        intent.id, {"payment_method": "pm_card_visa", "return_url": "https://shop.example/"}, on
    )
    await client.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]}, on)
    await client.customers.payment_methods.list_async(customer.id, {"type": "card"}, on)
    await client.events.list_async(
        {"types": ["payment_intent.succeeded"], "created": {"gte": 1}, "limit": 3}, on
    )
    await client.payment_intents.list_async({"created": {"gte": 1}, "customer": customer.id}, on)
    await client.payment_methods.detach_async(str(paid.payment_method), None, on)
    setup = await client.setup_intents.create_async({"customer": customer.id, "usage": "off_session"}, on)
    await client.setup_intents.cancel_async(setup.id, None, on)
    await client.customers.delete_async(customer.id, None, on)
