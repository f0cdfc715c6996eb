"""Stripe: calls that fail; webhooks that come early, late, thrice, out of order, never, or do not fit."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2

from deploy.sandbox.webhooks import signature
from services.chassis.ids import new_id
from tests.faults import checks
from tests.faults.drive import ACCOUNT, Bill, Client
from tests.faults.lab import Lab
from tests.faults.lost_replies import at_rest, paid
from tests.faults.matrix import Play, scenario
from tests.running.system import until

AREA = "Stripe"
INTENTS = "/v1/payment_intents"
DAY = 86_400


async def api_fault(lab: Lab, **rule: Any) -> None:
    await lab.control("POST", "/faults/api", rule)


async def webhook_fault(lab: Lab, **rule: Any) -> None:
    await lab.control("POST", "/faults/webhooks", rule)


def _failing(kind: str, count: int) -> Play:
    async def play(lab: Lab, client: Client) -> None:
        bill = await client.issue()
        await checks.drained(lab)
        await api_fault(lab, kind=kind, method="POST", path=INTENTS, count=count)
        await client.pay(bill)
        await at_rest(lab, bill)

    return play


for _kind, _count, _fault in (
    ("429", 6, "429, six times, on a new PaymentIntent"),
    ("500_after", 1, "500 after the intent was made, and again for the same key"),
    ("timeout_after", 1, "no answer after the intent was made"),
    ("latency", 1, "an answer that is slow"),
):
    scenario(AREA, _fault, quick=_kind == "429")(_failing(_kind, _count))


@scenario(AREA, "500 without an intent, and again for the same key: the same press pays with a new payment")
async def failed_for_good(lab: Lab, client: Client) -> str:
    """Stripe keeps a 500 under its key for a day. Nobody was given the secret, so the attempt holds nothing."""
    bill = await client.issue()
    await checks.drained(lab)
    await api_fault(lab, kind="500_before", method="POST", path=INTENTS)
    await client.pay(bill)
    await at_rest(lab, bill)
    payments = """
        SELECT string_agg(status, ', ' ORDER BY p.created_at)
        FROM payments AS p JOIN allocations ON payment_id = id WHERE payable_id = $1
    """
    if (made := await lab.value("payment", payments, bill.id)) != "canceled, succeeded":
        raise checks.Breach(f"the payments are {made}")
    return "canceled, and paid by the same press"


@scenario(AREA, "the webhook before the answer to the call", quick=True)
async def webhook_first(lab: Lab, client: Client) -> None:
    """The answer with the intent's id is lost on its way: its success comes first."""
    bill = await client.issue()
    start = await client.start(bill)
    with lab.frozen("payment.api"):
        await lab.admin["payment"].execute(
            "UPDATE payments SET stripe_payment_intent_id = NULL WHERE id = $1::uuid", bill.payment_id
        )
    await client.confirm(start)
    await at_rest(lab, bill)


@scenario(AREA, "three copies of every webhook in parallel", quick=True)
async def three_copies(lab: Lab, client: Client) -> str:
    bill = await client.issue()
    start = await client.start(bill)
    await client.confirm(start)
    events = await events_of(lab, bill)
    for _ in range(2):
        await asyncio.gather(*(lab.control("POST", f"/events/{event['id']}/resend") for event in events))
    await at_rest(lab, bill)
    return f"{len(events)} events"


@scenario(AREA, "one copy before and one after midnight")
async def around_midnight(lab: Lab, client: Client) -> None:
    """The event is of the last second of a day, by Stripe's clock; the second copy comes on the next."""
    until_midnight = DAY - 1 - int(time.time()) % DAY
    await lab.control("POST", "/clock", {"offset_seconds": until_midnight})
    bill = await client.issue()
    await client.pay(bill)
    await at_rest(lab, bill)
    await lab.control("POST", "/clock", {"offset_seconds": until_midnight + 5})
    await _resend_all(lab, bill)
    await at_rest(lab, bill)


@scenario(AREA, "webhooks in reversed order")
async def reversed_order(lab: Lab, client: Client) -> None:
    bill = await client.issue()
    start = await client.start(bill)
    await webhook_fault(lab, kind="reorder", count=2, type="*succeeded")
    await client.confirm(start)
    await lab.control("DELETE", "/faults")
    await at_rest(lab, bill)


@scenario(AREA, "a decline's webhook that comes after the success")
async def late_decline(lab: Lab, client: Client) -> None:
    bill = await client.issue()
    await webhook_fault(lab, kind="drop", count=2, type="*failed")
    await client.decline(bill)
    await client.pay(bill)
    await at_rest(lab, bill)
    await _resend_all(lab, bill)
    await at_rest(lab, bill)


@scenario(AREA, "webhooks three days late, after the sweeper had settled it")
async def three_days_late(lab: Lab, client: Client) -> None:
    bill = await client.issue()
    start = await client.start(bill)
    await webhook_fault(lab, kind="drop", count=20)
    await client.confirm(start)
    await lab.sweep_now()
    await at_rest(lab, bill)
    await lab.control("DELETE", "/faults")
    await lab.control("POST", "/clock", {"offset_seconds": 3 * DAY})
    await _resend_all(lab, bill)
    await at_rest(lab, bill)


@scenario(AREA, "no webhook ever: the sweeper alone", quick=True)
async def never(lab: Lab, client: Client) -> None:
    bill = await client.issue()
    start = await client.start(bill)
    await webhook_fault(lab, kind="drop", count=20)
    await client.confirm(start)
    await lab.sweep_now()
    await at_rest(lab, bill)


async def events_of(lab: Lab, bill: Bill) -> list[dict[str, Any]]:
    """The sandbox's events about the bill's intent."""
    found = [
        json.loads(body)
        for (body,) in checks.sandbox_rows(lab, "SELECT body FROM objects WHERE kind = 'event'")
    ]
    return [event for event in found if bill.intent_id in json.dumps(event["data"])]


async def _resend_all(lab: Lab, bill: Bill) -> None:
    for event in await events_of(lab, bill):
        await lab.control("POST", f"/events/{event['id']}/resend")


Forge = Callable[[dict[str, Any], dict[str, Any]], None]


def _wrong_account(event: dict[str, Any], intent: dict[str, Any]) -> None:
    event["account"] = "acct_somebodyelse"


def _wrong_currency(event: dict[str, Any], intent: dict[str, Any]) -> None:
    intent["currency"] = "usd"


def _nothing_taken(event: dict[str, Any], intent: dict[str, Any]) -> None:
    intent["amount_received"] = 0


def _wrong_intent(event: dict[str, Any], intent: dict[str, Any]) -> None:
    intent["id"] = "pi_forged"


def _wrong_clinic(event: dict[str, Any], intent: dict[str, Any]) -> None:
    intent["metadata"]["clinic_id"] = str(new_id())


def _other_mode(event: dict[str, Any], intent: dict[str, Any]) -> None:
    event["livemode"] = intent["livemode"] = not event["livemode"]


def _forged(change: Forge, parks: bool) -> Play:
    """A signed success that does not fit the payment books nothing; the right one, later, does."""

    async def play(lab: Lab, client: Client) -> str:
        bill = await client.issue()
        start = await client.start(bill)
        event = _a_success(bill)
        change(event, event["data"]["object"])
        await send(lab, event)
        if parks:
            await until(lambda: _parked(lab), 30)
        await checks.drained(lab)
        if await lab.value(
            "payment", "SELECT count(*) FROM entries WHERE payment_id = $1::uuid", bill.payment_id
        ):
            raise checks.Breach("a forged success was booked")
        reasons = await lab.sql("payment", "SELECT DISTINCT reason FROM parked WHERE state = 'waiting'")
        await lab.admin["payment"].execute("UPDATE parked SET state = 'superseded', resolved_at = now()")
        await client.confirm(start)
        await at_rest(lab, bill)
        return f"parked: {reasons[0]['reason']}" if reasons else "ignored"

    return play


for _change, _parks, _fault in (
    (_wrong_account, False, "a signed success of another account"),
    (_wrong_currency, True, "a signed success in another currency"),
    (_nothing_taken, True, "a signed success that received nothing"),
    (_wrong_intent, False, "a signed success of another PaymentIntent"),
    (_wrong_clinic, True, "a signed success that names another clinic"),
    (_other_mode, False, "a signed success of the other mode, test in live"),
):
    scenario(AREA, _fault, quick=_change is _wrong_currency)(_forged(_change, _parks))


def _a_success(bill: Bill) -> dict[str, Any]:
    return {
        "id": f"evt_{new_id().hex}",
        "object": "event",
        "type": "payment_intent.succeeded",
        "api_version": "2026-08-26.dahlia",
        "created": int(time.time()),
        "livemode": False,
        "account": ACCOUNT,
        "data": {"object": _intent(bill)},
    }


def _intent(bill: Bill) -> dict[str, Any]:
    return {
        "id": bill.intent_id,
        "object": "payment_intent",
        "status": "succeeded",
        "livemode": False,
        "amount": bill.total,
        "amount_received": bill.total,
        "currency": "eur",
        "customer": None,
        "metadata": {"clinic_id": bill.clinic_id, "payment_id": bill.payment_id},
    }


async def send(lab: Lab, event: dict[str, Any]) -> None:
    """Send an event to the edge as Stripe would, with the real secret."""
    body = json.dumps(event).encode()
    headers = {"Stripe-Signature": signature(lab.system.stripe.webhook_secret, body, int(time.time()))}
    async with httpx2.AsyncClient(timeout=20) as http:
        url = f"{lab.system.public_url}/webhooks/stripe"
        (await http.post(url, content=body, headers=headers)).raise_for_status()


async def _parked(lab: Lab) -> bool:
    return bool(await lab.value("payment", "SELECT count(*) FROM parked WHERE state = 'waiting'"))


@scenario(AREA, "down for 20 s: a payment waits, and starts when it is back")
async def away(lab: Lab, client: Client) -> None:
    bill = await client.issue()
    await checks.drained(lab)
    lab.keeper.gate("sandbox").clear()
    lab.kill("sandbox")
    paying = asyncio.create_task(client.pay(bill))
    await asyncio.sleep(20)
    lab.keeper.gate("sandbox").set()
    await paying
    await at_rest(lab, bill)
    await paid(lab, client)
