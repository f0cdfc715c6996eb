"""Stripe's webhooks for seeded invoices, as the sandbox makes them, signed and ready to be sent."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2
import msgspec

from deploy.sandbox.embedded import running_sandbox
from deploy.sandbox.webhooks import signature
from services.payment.payments import stripe_params
from services.payment.payments.domain import Allocation, Payment
from services.payment.stripe.seal import Seal
from tests.bench import loadgen
from tests.bench.seed import AMOUNT, CURRENCY, Live

PATH = "/webhooks/stripe"
_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
}
_TRACE = "00-{n:032x}-{n:016x}-00"
"""Of a trace that was begun and is not sampled, as nearly all are."""
_STANDS_FOR = Live(999_999_999_999)
_NEVER_SENT = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Template:
    """The body of a `payment_intent.succeeded`, in which one payment stands for all."""

    body: str
    event_id: str
    intent_id: str

    seal: Seal
    """Of the installation that is measured: what it did not sign is not its own."""

    def about(self, live: Live) -> bytes:
        """The body for another payment. The event's id follows from the payment's, so that it is the same each time."""
        body = self.body.replace(self.event_id, f"evt_3Bench{live.n:018}")
        stands_for, own = metadata_of(_STANDS_FOR, self.seal), metadata_of(live, self.seal)
        for name, value in stands_for.items():
            body = body.replace(f'"{name}": "{value}"', f'"{name}": "{own[name]}"')
        return body.replace(self.intent_id, live.intent_id).encode()


def metadata_of(live: Live, seal: Seal) -> dict[str, str]:
    """The metadata that the payment service would have written on the seeded payment's intent."""
    payment = Payment(
        clinic_id=live.clinic_id,
        id=live.payment_id,
        client_id=live.client_id,
        account="",
        livemode=False,
        status="created",
        amount=AMOUNT,
        currency=CURRENCY,
        kind="card",
        save=False,
        idempotency_key=f"payment-{live.payment_id}",
        created_at=_NEVER_SENT,
        updated_at=_NEVER_SENT,
        allocations=(Allocation(live.invoice_id, AMOUNT),),
        traceparent=_TRACE.format(n=live.n),
    )
    return stripe_params.metadata_of(stripe_params.seal_payment(payment, seal))


async def template(seal: Seal) -> Template:
    """Ask a sandbox: it makes the intent, takes the card and sends the event."""
    metadata = metadata_of(_STANDS_FOR, seal)
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
    return Template(body, event["id"], made["id"], seal)


def requests(
    about: Iterable[Live], template: Template, secret: str, clock: Callable[[], float] = time.time
) -> Iterator[bytes]:
    """Signed requests to the webhook edge. They are good for five minutes."""
    for live in about:
        body = template.about(live)
        headers = {**_HEADERS, "Stripe-Signature": signature(secret, body, int(clock()))}
        yield loadgen.request("POST", PATH, "127.0.0.1", headers, body)
