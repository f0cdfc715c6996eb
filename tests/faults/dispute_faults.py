"""Disputes: evidence whose answer is lost, processes that die around the call, news that come thrice and reversed."""

import asyncio
import json
from contextlib import suppress
from functools import partial
from typing import Any

import httpx2

from deploy.local.demo.visitor import Refused
from services.chassis.ids import new_id
from tests.faults import checks, proxy
from tests.faults.drive import ACCOUNT, Bill, Client, TryAgain, api, persist
from tests.faults.lab import Lab, order
from tests.faults.matrix import Play, scenario
from tests.running.system import until

AREA = "Disputes"
CALL = "Stripe POST disputes/du"
TEXT = "The client came, and signed for it."


async def disputed(lab: Lab, client: Client) -> tuple[Bill, str]:
    """A paid invoice whose payer disputes the payment: the bill, and the dispute's id at Stripe."""
    bill = await client.issue()
    await client.pay(bill)
    return bill, await take_back(lab, bill)


async def take_back(lab: Lab, bill: Bill) -> str:
    """The payer disputes a payment that Stripe has."""
    await until(lambda: checks.charges_of(lab, {bill.payment_id}), 60)
    [charge] = checks.charges_of(lab, {bill.payment_id})
    made = await lab.control("POST", f"/accounts/{ACCOUNT}/charges/{charge['id']}/dispute", {})
    return str(made["id"])


async def decide(lab: Lab, dispute: str, outcome: str) -> None:
    await lab.control("POST", f"/accounts/{ACCOUNT}/disputes/{dispute}/end", {"outcome": outcome})


async def booked(lab: Lab, dispute: str, status: str) -> dict[str, Any]:
    """Wait until the dispute has this status here, and all of its money is booked. Returns its row."""

    async def is_booked() -> dict[str, Any] | None:
        rows = await lab.sql(
            "payment",
            """
            SELECT clinic_id, id, status, submissions FROM disputes AS d
            WHERE stripe_dispute_id = $1 AND status = $2 AND EXISTS (
                SELECT FROM dispute_transactions AS t WHERE (t.clinic_id, t.dispute_id) = (d.clinic_id, d.id)
            ) AND NOT EXISTS (
                SELECT FROM dispute_transactions AS t
                WHERE (t.clinic_id, t.dispute_id) = (d.clinic_id, d.id) AND t.booked_at IS NULL
            )
            """,
            dispute,
            status,
        )
        return rows[0] if rows else None

    row: dict[str, Any] = await until(is_booked, 90)
    return row


async def submit(lab: Lab, dispute_id: str, *, once: bool = False) -> None:
    """Write the evidence and submit what the preview shows, until it is answered, or with one press."""
    path = f"/clinics/{lab.clinic['id']}/disputes/{dispute_id}/evidence"
    await persist(lambda: api(lab, "PUT", path, {"texts": {"uncategorized_text": TEXT}}))
    digest = (await persist(lambda: api(lab, "GET", f"{path}/preview")))["digest"]
    key = str(new_id())
    if once:
        with suppress(httpx2.HTTPError, TryAgain, TimeoutError, Refused):
            await api(lab, "POST", f"{path}/submission", {"digest": digest}, key=key)
    else:
        await persist(lambda: api(lab, "POST", f"{path}/submission", {"digest": digest}, key=key))


async def answered_once(lab: Lab, dispute: str) -> None:
    """Raise a `Breach` unless the bank has the evidence once, and we know it. `verify` then looks at the rest."""
    await booked(lab, dispute, "under_review")
    sending = "SELECT count(*) FROM evidence_submissions WHERE state = 'sending'"
    await until(partial(_is_none, lab, sending), 60)
    states = await lab.sql(
        "payment",
        """
        SELECT s.state, s.texts FROM evidence_submissions AS s
        JOIN disputes AS d ON (d.clinic_id, d.id) = (s.clinic_id, s.dispute_id) WHERE stripe_dispute_id = $1
        """,
        dispute,
    )
    there = at_stripe(lab, dispute)
    given = {name: text for name, text in there["evidence"].items() if text and isinstance(text, str)}
    if [each["state"] for each in states] != ["sent"] or json.loads(states[0]["texts"]) != given:
        raise checks.Breach(f"evidence here: {states}, at Stripe: {given}")
    if there["evidence_details"]["submission_count"] != 1:
        raise checks.Breach(f"submitted {there['evidence_details']['submission_count']} times")
    await checks.drained(lab)


async def _is_none(lab: Lab, query: str) -> bool:
    return bool(await lab.value("payment", query) == 0)


def at_stripe(lab: Lab, dispute: str) -> dict[str, Any]:
    rows = checks.sandbox_rows(lab, "SELECT body FROM objects WHERE kind = 'dispute'")
    [found] = [body for (text,) in rows if (body := json.loads(text))["id"] == dispute]
    return dict(found)


async def hasten(lab: Lab) -> None:
    """The task of a submission, which waits for a minute, is due now."""
    await lab.admin["payment"].execute(
        "UPDATE tasks SET due_at = now() WHERE kind = 'submit_evidence' AND state = 'due'"
    )


@scenario(AREA, "Stripe's answer to evidence", quick=True)
async def answer_lost(lab: Lab, client: Client) -> str:
    _, dispute = await disputed(lab, client)
    row = await booked(lab, dispute, "needs_response")
    loss = lab.link("stripe").lose(proxy.http_request("POST /v1/disputes"), 3)
    await submit(lab, str(row["id"]))
    await hasten(lab)
    await answered_once(lab, dispute)
    return f"{loss.lost} answers lost"


def _dies(point: str) -> Play:
    """The person does not press again: the task alone sends it."""

    async def play(lab: Lab, client: Client) -> None:
        _, dispute = await disputed(lab, client)
        row = await booked(lab, dispute, "needs_response")
        order(lab, "payment.api", mode="kill", point=point, nth=1)
        await submit(lab, str(row["id"]), once=True)
        await lab.all_run()
        await hasten(lab)
        await answered_once(lab, dispute)

    return play


for _point in (f"before {CALL}", f"after {CALL}"):
    scenario(AREA, f"payment.api dies {_point}, and nobody presses again")(_dies(_point))


@scenario(AREA, "payment.api and then payment.worker die after Stripe took evidence")
async def both_die(lab: Lab, client: Client) -> None:
    _, dispute = await disputed(lab, client)
    row = await booked(lab, dispute, "needs_response")
    order(lab, "payment.api", mode="kill", point=f"before {CALL}", nth=1)
    await submit(lab, str(row["id"]), once=True)
    order(lab, "payment.worker", mode="kill", point=f"after {CALL}", nth=1)
    await hasten(lab)
    await until(lambda: (lab.system.orders / "payment.worker.died").exists(), 60)
    await lab.all_run()
    await lab.admin["payment"].execute(
        "UPDATE tasks SET claimed_until = now() WHERE kind = 'submit_evidence' AND state = 'due'"
    )
    await answered_once(lab, dispute)


@scenario(AREA, "taken, given back, lost and won late; all news thrice and newest first")
async def reversed_news(lab: Lab, client: Client) -> str:
    bill, dispute = await disputed(lab, client)
    await booked(lab, dispute, "needs_response")
    for outcome in ("lost", "won"):
        await decide(lab, dispute, outcome)
        await booked(lab, dispute, outcome)
    events = [
        event
        for (body,) in checks.sandbox_rows(
            lab, "SELECT body FROM objects WHERE kind = 'event' ORDER BY seq DESC"
        )
        if (event := json.loads(body))["data"]["object"]["id"] == dispute
    ]
    for _ in range(2):
        await asyncio.gather(*(lab.control("POST", f"/events/{event['id']}/resend") for event in events))
    await checks.drained(lab, [bill])
    taken = "SELECT sum(amount) FROM movements WHERE invoice_id = $1 AND kind = 'dispute'"
    if await lab.value("invoice", taken, bill.id) != 0:
        raise checks.Breach("a dispute that was won holds money of its invoice")
    mails = "SELECT count(*) FROM deliveries WHERE template LIKE 'dispute%' AND subject_id = $1::uuid"
    row = await booked(lab, dispute, "won")
    if (sent := await lab.value("notification", mails, row["id"])) != 3:
        raise checks.Breach(f"e-mails about the dispute: {sent}, not 3")
    return f"{len(events)} events"
