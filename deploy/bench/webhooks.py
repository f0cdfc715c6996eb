"""Stripe's webhooks for seeded invoices, as the sandbox makes them, signed and ready to be sent."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import httpx2
import msgspec

from deploy.bench import loadgen
from deploy.bench.seed import AMOUNT, CURRENCY, Live
from deploy.sandbox.embedded import running_sandbox
from deploy.sandbox.webhooks import signature

PATH = "/webhooks/stripe"
_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
}
_TRACE = "00-{n:032x}-{n:016x}-00"
"""Of a trace that was begun and is not sampled, as nearly all are."""
_STANDS_FOR = Live(999_999_999_999)


@dataclass(frozen=True, slots=True)
class Template:
    """The body of a `payment_intent.succeeded`, in which one payment stands for all."""

    body: str
    event_id: str
    intent_id: str

    def about(self, live: Live) -> bytes:
        """The body for another payment. The event's id follows from the payment's, so that it is the same each time."""
        body = self.body.replace(self.event_id, f"evt_3Bench{live.n:018}")
        for stands, own in zip(_ids(_STANDS_FOR), _ids(live), strict=True):
            body = body.replace(stands, own)
        return body.replace(self.intent_id, live.intent_id).encode()


def _ids(live: Live) -> Iterator[str]:
    yield _TRACE.format(n=live.n)
    yield f'"clinic_id": "{live.clinic_id}"'
    yield str(live.payment_id)


async def template() -> Template:
    """Ask a sandbox: it makes the intent, takes the card and tells of it."""
    metadata = {
        "clinic_id": str(_STANDS_FOR.clinic_id),
        "payment_id": str(_STANDS_FOR.payment_id),
        "traceparent": _TRACE.format(n=_STANDS_FOR.n),
    }
    asked = {
        "amount": AMOUNT,
        "currency": CURRENCY.lower(),
        "confirm": "true",
        "payment_method": "pm_card_visa",
    }
    asked |= {"payment_method_types[]": "card"} | {
        f"metadata[{key}]": value for key, value in metadata.items()
    }
    async with running_sandbox() as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
        async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as http:
            made = (await http.post("/v1/payment_intents", data=asked)).raise_for_status().json()
            listed = await http.get("/v1/events", params={"type": "payment_intent.succeeded"})
        event = listed.raise_for_status().json()["data"][0]
    body = msgspec.json.format(msgspec.json.encode(event), indent=2).decode()
    return Template(body, event["id"], made["id"])


def requests(
    about: Iterable[Live], template: Template, secret: str, clock: Callable[[], float] = time.time
) -> Iterator[bytes]:
    """Signed requests to the webhook edge. They are good for five minutes."""
    for live in about:
        body = template.about(live)
        headers = {**_HEADERS, "Stripe-Signature": signature(secret, body, int(clock()))}
        yield loadgen.request("POST", PATH, "127.0.0.1", headers, body)
