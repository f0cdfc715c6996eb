"""Refunds of credit: answers that are lost, processes that die around the call, news that come thrice and reversed."""

import asyncio
import json
from typing import Any

from services.chassis.ids import new_id
from tests.faults import checks, proxy
from tests.faults.drive import Bill, Client, api, persist
from tests.faults.lab import Lab, order
from tests.faults.matrix import Play, scenario
from tests.running.system import until

AREA = "Refunds"
CALL = "Stripe POST refunds"


async def credit(lab: Lab, client: Client, card: str = "pm_card_visa") -> Bill:
    """An invoice that was voided in the other tab and paid all the same: all of it is the client's credit."""
    bill = await client.issue()
    start = await client.start(bill)
    await client.correct(bill, "void")
    payable = "SELECT status = 'void' FROM payables WHERE id = $1"
    await until(lambda: lab.value("payment", payable, bill.id), 60)
    await client.confirm(start, card)
    succeeded = "SELECT status = 'succeeded' FROM payments WHERE id = $1::uuid"
    await until(lambda: lab.value("payment", succeeded, bill.payment_id), 60)
    await checks.drained(lab)
    return bill


async def press(lab: Lab, bill: Bill) -> None:
    """The one click, until it is answered."""
    key = str(new_id())
    body = {"client_id": lab.client_id, "currency": "EUR", "payment_id": bill.payment_id}
    path = f"/clinics/{lab.clinic['id']}/refunds"
    await persist(lambda: api(lab, "POST", path, body, key=key))


async def refunded_once(lab: Lab, bill: Bill, status: str = "succeeded", mails: int = 1) -> None:
    """Raise a `Breach` unless one refund was made, booked and told. `verify` then looks at the rest."""
    wanted = "SELECT count(*) FROM refunds WHERE payment_id = $1::uuid AND status = $2"
    await until(lambda: lab.value("payment", wanted, bill.payment_id, status), 60)
    await checks.drained(lab)
    made = await at_stripe(lab, bill)
    if [each["amount"] for each in made] != [bill.total]:
        raise checks.Breach(f"refunds at Stripe: {made}")
    sent = await lab.value(
        "notification",
        "SELECT count(*) FROM deliveries WHERE template = 'refund' AND subject_id = $1::uuid",
        made[0]["metadata"]["refund_id"],
    )
    if sent != mails:
        raise checks.Breach(f"letters of the refund: {sent}, not {mails}")


async def at_stripe(lab: Lab, bill: Bill) -> list[dict[str, Any]]:
    """Stripe's refunds of the bill's payment."""
    rows = checks.sandbox_rows(lab, "SELECT body FROM objects WHERE kind = 'refund'")
    made = [json.loads(body) for (body,) in rows]
    return [each for each in made if each["metadata"].get("payment_id") == bill.payment_id]


async def sweep_now(lab: Lab) -> None:
    await lab.admin["payment"].execute("UPDATE refunds SET checked_at = now() - interval '40 days'")


@scenario(AREA, "Stripe's answer to a new refund", quick=True)
async def answer_lost(lab: Lab, client: Client) -> str:
    bill = await credit(lab, client)
    loss = lab.link("stripe").lose(proxy.http_request("POST /v1/refunds"), 3)
    await press(lab, bill)
    await sweep_now(lab)
    await refunded_once(lab, bill)
    return f"{loss.lost} answers lost"


def _dies(point: str) -> Play:
    async def play(lab: Lab, client: Client) -> None:
        bill = await credit(lab, client)
        order(lab, "payment.api", mode="kill", point=point, nth=1)
        await press(lab, bill)
        await lab.all_run()
        await refunded_once(lab, bill)

    return play


for _point in (f"before {CALL}", f"after {CALL}"):
    scenario(AREA, f"payment.api dies {_point}")(_dies(_point))


@scenario(AREA, "no webhook ever: the sweeper alone")
async def never(lab: Lab, client: Client) -> None:
    bill = await credit(lab, client)
    await lab.control("POST", "/faults/webhooks", {"kind": "drop", "count": 20})
    await press(lab, bill)
    await sweep_now(lab)
    await refunded_once(lab, bill)


@scenario(AREA, "the bank returns it days later; all news thrice and newest first")
async def returned(lab: Lab, client: Client) -> str:
    bill = await credit(lab, client, "pm_card_refundFail")
    await press(lab, bill)
    await refunded_once(lab, bill)
    [refund] = await at_stripe(lab, bill)
    await lab.control("POST", "/clock", {"offset_seconds": 5 * 86_400})
    path = f"/accounts/{lab.clinic['stripe_account_id']}/refunds/{refund['id']}/settle"
    await lab.control("POST", path, {"outcome": "failed"})
    await lab.control("POST", "/clock", {"offset_seconds": 0})
    events = [
        event
        for (body,) in checks.sandbox_rows(
            lab, "SELECT body FROM objects WHERE kind = 'event' ORDER BY seq DESC"
        )
        if (event := json.loads(body))["data"]["object"]["id"] == refund["id"]
    ]
    for _ in range(2):
        await asyncio.gather(*(lab.control("POST", f"/events/{event['id']}/resend") for event in events))
    await refunded_once(lab, bill, "failed")
    return f"{len(events)} events"
