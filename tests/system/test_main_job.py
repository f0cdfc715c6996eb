"""A client pays an invoice, on the whole system: everything between the click and the receipt is real."""

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from deploy.local.demo.data import CLIENT, CLIENT_EMAIL, PASSWORD
from services.chassis.ids import new_id
from tests.running.system import Running, Span, until
from tests.system.portal import Portal

HOLD_CHARGES = {"kind": "reorder", "type": "charge.succeeded", "count": 100}


async def an_invoice(system: Running, price: int = 10_000) -> dict[str, Any]:
    """Issue an unpaid invoice to the demo client at the harbour clinic; returns the API's answer."""
    clinic = await harbour(system)
    clients = (await system.api("GET", f"/clinics/{clinic}/clients"))["items"]
    client = next(each["id"] for each in clients if each["name"] == CLIENT["name"])
    line = {
        "service": "Follow-up session",
        "practitioner": "Niamh Kelly, physiotherapist",
        "unit_price": {"minor": price, "currency": "EUR"},
        "tax_code": "exempt",
    }
    due_on = (datetime.now(UTC) + timedelta(days=14)).date().isoformat()
    body = {"client_id": client, "due_on": due_on, "lines": [line]}
    issued: dict[str, Any] = await system.api("POST", f"/clinics/{clinic}/invoices", body, key=str(new_id()))
    return issued


async def harbour(system: Running) -> str:
    clinics = (await system.api("GET", "/clinics"))["items"]
    return next(str(clinic["id"]) for clinic in clinics if clinic["slug"] == "harbour")


async def status(system: Running, invoice: dict[str, Any]) -> str:
    return str((await get(system, invoice))["status"])


async def get(system: Running, invoice: dict[str, Any]) -> dict[str, Any]:
    clinic = await harbour(system)
    found: dict[str, Any] = await system.api("GET", f"/clinics/{clinic}/invoices/{invoice['id']}")
    return found


async def until_paid(system: Running, invoice: dict[str, Any]) -> dict[str, Any]:
    async def paid() -> bool:
        try:
            return await status(system, invoice) == "paid"
        except httpx2.HTTPStatusError as error:
            # Right after a fault the API may answer 503, with the time of the next try.
            assert error.response.status_code == 503, error
            return False

    await until(paid)
    return await get(system, invoice)


async def until_shown(system: Running, invoice: dict[str, Any]) -> dict[str, Any]:
    """The invoice once it shows its payment method: Stripe may report the money before the card."""

    async def shown() -> dict[str, Any] | None:
        found = await get(system, invoice)
        return found if (found["paid_with"] or {}).get("last4") else None

    await until_paid(system, invoice)
    invoice_shown: dict[str, Any] = await until(shown)
    return invoice_shown


async def start(system: Running, invoice: dict[str, Any]) -> dict[str, Any]:
    async with system.client() as client:
        return await client.pay("harbour", invoice["id"], invoice["due"])


async def test_everything_is_ready_and_says_so(system: Running) -> None:
    async with httpx2.AsyncClient(base_url=system.url) as http:

        async def whole() -> httpx2.Response | None:
            """For a minute after another test's fault at Stripe it is not."""
            asked = await http.get("/healthz/system")
            return asked if asked.status_code == 200 else None

        answer: httpx2.Response = await until(whole, 90)
    parts = {"invoice.api", "invoice.worker", "payment.api", "payment.worker", "relay", "sandbox", "mailbox"}
    assert parts <= {part for part, state in answer.json()["checks"].items() if state == "ok"}


async def test_a_client_pays_an_invoice_and_a_receipt_is_in_the_mailbox(system: Running) -> None:
    invoice = await an_invoice(system)
    async with system.client() as client:
        begun = await client.pay("harbour", invoice["id"], invoice["due"])
        intent = await system.confirm(begun)
        paid = await until_shown(system, invoice)
        page = await client.page(f"/c/harbour/payments/{begun['payment_id']}")

    assert intent["status"] == "succeeded"
    assert paid["due"]["minor"] == 0
    assert paid["paid_with"] == {"kind": "card", "brand": "visa", "last4": "4242"}
    assert [(m["kind"], m["amount"]["minor"]) for m in paid["movements"]] == [("payment", 10_000)]
    assert "Paid" in page
    await until(lambda: receipts_for(system, invoice))


async def test_a_card_that_stripe_tells_of_after_the_success_is_shown_and_the_open_page_hears_of_it(
    system: Running,
) -> None:
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    await system.control("POST", "/faults/webhooks", HOLD_CHARGES)
    try:
        await system.confirm(begun)
        before = await until_paid(system, invoice)
        async with Portal(system.url) as client:
            await client.log_in(CLIENT_EMAIL, PASSWORD)
            path = f"/c/harbour/live?invoice={invoice['id']}"
            async with asyncio.timeout(30), client.http.stream("GET", path) as stream:
                lines = stream.aiter_lines()
                data = await _next_data(lines)
                await system.control("DELETE", "/faults")  # releases the held webhooks
                while not (invoice["id"] in data and '"updated"' in data):
                    data = await _next_data(lines)
            after = await until_shown(system, invoice)
            history = await client.billing_history("harbour", "paid")
    finally:
        await system.control("DELETE", "/faults")

    assert before["paid_with"] == {"kind": "card", "brand": None, "last4": None}
    assert after["paid_with"] == {"kind": "card", "brand": "visa", "last4": "4242"}
    assert after["version"] == before["version"]
    (row,) = [row for row in history if row.id == invoice["id"]]
    assert "4242" in row.method


async def test_an_open_page_turns_to_paid_by_itself(system: Running) -> None:
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    async with system.client() as client:
        path = f"/c/harbour/live?invoice={invoice['id']}"
        async with asyncio.timeout(30), client.http.stream("GET", path) as stream:
            lines = stream.aiter_lines()
            first = await _next_data(lines)
            await system.confirm(begun)
            data = first
            while '"paid"' not in data:
                data = await _next_data(lines)

    assert '"unpaid"' in first
    assert invoice["id"] in data


async def test_a_declined_card_leaves_the_invoice_unpaid_and_another_try_pays_it(system: Running) -> None:
    invoice = await an_invoice(system)
    begun = await start(system, invoice)

    with pytest.raises(Exception, match="card_declined"):
        await system.confirm(begun, "pm_card_chargeDeclined")
    again = await start(system, invoice)
    await system.confirm(again)

    assert again["client_secret"] == begun["client_secret"]
    await until_paid(system, invoice)


async def test_one_trace_from_the_click_to_the_receipt(system: Running) -> None:
    """The spans and their parents, through HTTP, Stripe's webhook, outboxes and Kafka."""
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    await system.confirm(begun)
    await until_paid(system, invoice)
    await until(lambda: receipts_for(system, invoice))

    def whole() -> list[Span] | None:
        for trace in {s.trace_id for s in system.spans.all if s.name.endswith("/payments") and "{" in s.name}:
            spans = [span for span in system.spans.all if span.trace_id == trace]
            known = {span.span_id for span in spans} | {""}
            ends = {"send receipt", "payment.settled process", "payment.settled send"}
            if ends <= {span.name for span in spans} and all(span.parent_id in known for span in spans):
                return spans
        return None

    # The newest complete trace: exporters send every half second.
    spans: list[Span] = await until(whole)
    by_id = {span.span_id: span for span in spans}

    def chain(span: Span) -> list[tuple[str, str]]:
        above = by_id.get(span.parent_id)
        return [(span.service.removeprefix("clinicpay-"), span.name), *(chain(above) if above else [])]

    def find(service: str, name: str) -> Span:
        (found, *_) = [s for s in spans if s.service == f"clinicpay-{service}" and s.name == name]
        return found

    to_receipt = chain(find("notification", "send receipt"))
    to_paid = chain(find("invoice", "payment.settled process"))
    click = ("gateway", "POST /c/{slug}/payments")
    at_payment = ("payment", "POST /payments")
    webhook = ("payment", "stripe.event publish")
    booked = ("payment", "stripe.event process")
    assert [each for each in to_receipt if each[0] != "gateway"] == [
        ("notification", "send receipt"),
        ("notification", "payment.succeeded process"),
        booked,
        webhook,
        at_payment,
    ]
    assert [each for each in to_paid if each[0] != "gateway"] == [
        ("invoice", "payment.settled process"),
        booked,
        webhook,
        at_payment,
    ]
    assert to_receipt[-1] == click
    assert to_paid[-1] == click
    # Between the two transactions: the relay's part.
    assert chain(find("relay", "payment.settled send"))[1:] == to_paid[1:]
    assert chain(find("payment", "transaction"))[-1] == click


async def test_the_invoice_worker_is_killed_in_the_middle_and_the_invoice_is_paid_once(
    system: Running,
) -> None:
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    worker = system.pid("services.invoice worker")
    # Stopped first, so that the settlement is surely on its way and unbooked when it dies.
    os.kill(worker, signal.SIGSTOP)
    await system.confirm(begun)
    os.kill(worker, signal.SIGKILL)

    paid = await until_paid(system, invoice)

    assert [movement["amount"]["minor"] for movement in paid["movements"]] == [10_000]
    assert system.pid("services.invoice worker") != worker
    assert any("invoice.worker ended" in line for line in system.output)


async def test_a_webhook_that_comes_while_postgresql_is_down_is_taken_and_booked_later(
    system: Running,
) -> None:
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    before = await system.control("GET", "/counts")
    # The supervisor is held, or PostgreSQL would be back before the webhook is there.
    os.kill(system.process.pid, signal.SIGSTOP)
    try:
        os.kill(system.postgres_pid(), signal.SIGQUIT)
        await system.confirm(begun)

        async def taken() -> bool:
            webhooks = (await system.control("GET", "/counts"))["webhooks"]
            return int(webhooks.get("delivered", 0)) >= int(before["webhooks"].get("delivered", 0)) + 2

        await until(taken)
    finally:
        os.kill(system.process.pid, signal.SIGCONT)

    paid = await until_paid(system, invoice)
    assert [movement["amount"]["minor"] for movement in paid["movements"]] == [10_000]


async def test_a_webhook_sent_three_times_is_booked_once(system: Running) -> None:
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    await system.control("POST", "/faults/webhooks", {"kind": "double", "count": 10})
    try:
        await system.confirm(begun)
        paid = await until_paid(system, invoice)
    finally:
        await system.control("DELETE", "/faults")

    assert [movement["amount"]["minor"] for movement in paid["movements"]] == [10_000]
    receipts = await until(lambda: receipts_for(system, invoice))
    assert len(receipts) == 1


async def receipts_for(system: Running, invoice: dict[str, Any]) -> list[dict[str, Any]]:
    receipts = await system.mails("Receipt")
    found = []
    async with httpx2.AsyncClient(base_url=system.mailbox_url) as http:
        for receipt in receipts:
            message = (await http.get(f"/api/messages/{receipt['id']}")).text
            if invoice["number"] in message:
                found.append(receipt)
    return found


async def _next_data(lines: Any) -> str:
    async for line in lines:
        if line.startswith("data:") and "{" in line:
            return str(line)
    raise AssertionError("the stream ended")
