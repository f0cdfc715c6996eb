"""Whether the installation takes webhooks at its public address, signed with each secret."""

import hashlib
import hmac
import json
import time

import httpx2

from deploy.ops.stripe_setup.access import Given
from deploy.ops.stripe_setup.findings import Finding, good, wrong

EVENT_TYPE = "clinicpay.check"
_SECONDS = 10.0


async def check(given: Given) -> list[Finding]:
    """Send an event of no type that anything acts on. It counts as ignored, and changes nothing."""
    async with httpx2.AsyncClient(timeout=_SECONDS) as http:
        return [await _send(http, given, number) for number in range(len(given.webhook_secrets))]


async def _send(http: httpx2.AsyncClient, given: Given, number: int) -> Finding:
    about = f"{given.webhook_url}, secret {number + 1}"
    body = json.dumps(_event(given.live)).encode()
    headers = {"Stripe-Signature": _signature(given.webhook_secrets[number], body)}
    try:
        answer = await http.post(given.webhook_url, content=body, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        words = f"The address does not answer from here ({type(error).__name__})."
        return wrong(
            "reach", about, words, "Look at the proxy, its certificate, and whether the gateway runs."
        )
    if answer.status_code == 200:
        return good("reach", about, "The installation takes what is signed with this secret.")
    words = f"The installation answers {answer.status_code}."
    way = "400: payment runs with another secret, restart it. Else see that the path reaches the gateway."
    return wrong("reach", about, words, way)


def _signature(secret: str, body: bytes) -> str:
    at = int(time.time())
    digest = hmac.digest(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hex()
    return f"t={at},v1={digest}"


def _event(live: bool) -> dict[str, object]:
    return {
        "id": "evt_clinicpay_check",
        "object": "event",
        "type": EVENT_TYPE,
        "created": int(time.time()),
        "livemode": live,
        "data": {"object": {"id": "check", "object": "check"}},
    }
