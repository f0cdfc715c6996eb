"""`clinicpay why` names the cause of each kind of stuck money, caused here by a real fault."""

import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer

from contracts.events.payment import receipt_number
from deploy.local.demo.visitor import Refused
from deploy.ops.verify.access import Access
from deploy.ops.why.asking import why
from deploy.ops.why.story import Journey, Step
from deploy.ops.why.waiting import Waiting
from services.chassis.ids import new_id
from tests.builders.payments import a_settlement
from tests.builders.values import money
from tests.running.commands import command
from tests.running.system import Running, until
from tests.system.test_main_job import an_invoice, harbour, start, until_paid

Json = dict[str, Any]


@pytest.fixture
def access(system: Running, data: Path) -> Access:
    """Needs the system to run: its data directory says where everything is."""
    assert system.url
    return Access.of_data(data)


@pytest.fixture
async def invoice(system: Running, access: Access) -> Json:
    """A new one, of which its client was told."""
    issued = await an_invoice(system)

    async def told() -> bool:
        return "E-mail invoice_ready sent" in texts(await of(access, issued["id"]))

    await until(told)
    return issued


async def of(access: Access, reference: str) -> Journey:
    [found] = await why(access, reference)
    return found


async def waits(access: Access, reference: str, code: str) -> Waiting:
    """The answer, once it is of this code."""

    async def answered() -> Waiting | None:
        found = (await of(access, reference)).waits
        # Nothing is lost in these tests, so no answer on the way may say that it is.
        assert found is None or "reemit" not in found.help
        return found if found is not None and found.code == code else None

    answer: Waiting = await until(answered, 60)
    return answer


def texts(journey: Journey) -> list[str]:
    return [step.text for step in journey.steps]


@contextmanager
def stopped(system: Running, command_line: str) -> Iterator[None]:
    pid = system.pid(command_line)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_client_who_never_tried(access: Access, invoice: Json) -> None:
    answer = await waits(access, invoice["id"], "never_tried")
    assert "has not tried" in answer.help


async def test_a_client_who_left_the_page(system: Running, access: Access, invoice: Json) -> None:
    await start(system, invoice)

    await waits(access, invoice["id"], "client_left")


async def test_a_card_that_was_declined(system: Running, access: Access, invoice: Json) -> None:
    with pytest.raises(Refused, match="card_declined"):
        await system.confirm(await start(system, invoice), "pm_card_chargeDeclinedInsufficientFunds")

    answer = await waits(access, invoice["id"], "declined")
    assert "insufficient_funds (There is not enough money on this card)" in answer.text


async def test_a_card_that_was_declined_twice_before_another_one_paid(
    system: Running, access: Access, invoice: Json
) -> None:
    begun = await start(system, invoice)
    for card in ("pm_card_chargeDeclinedInsufficientFunds", "pm_card_chargeDeclinedExpiredCard"):
        with pytest.raises(Refused, match=r"card_declined|expired_card"):
            await system.confirm(begun, card)
    await system.confirm(begun)
    await until_paid(system, invoice)

    async def told() -> Journey | None:
        """A decline's webhook may come after the success."""
        found = await of(access, invoice["id"])
        return found if sum("declined by visa" in text for text in texts(found)) == 2 else None

    journey: Journey = await until(told)

    number = receipt_number(UUID(begun["payment_id"]))
    said = [text.removeprefix(f"{number} ") for text in texts(journey) if text.startswith(number)]
    # Stripe's time has whole seconds: both may be of the same one.
    assert sorted(said[1:3]) == [
        "declined by visa: expired_card (This card has expired)",
        "declined by visa: insufficient_funds (There is not enough money on this card)",
    ]
    declined = [step for step in journey.steps if "declined by" in step.text]
    for step in declined:
        [charge] = step.refs
        assert charge.startswith("ch_")
        assert (await of(access, charge)).title == journey.title


async def test_a_webhook_that_did_not_come(system: Running, access: Access, invoice: Json) -> None:
    await system.control("POST", "/faults/webhooks", {"kind": "drop", "count": 20, "type": "*"})
    try:
        begun = await start(system, invoice)
        await system.confirm(begun)
        answer = await waits(access, invoice["id"], "webhook_missing")
    finally:
        await system.control("DELETE", "/faults")
    assert "stripe check" in answer.help
    assert (await of(access, begun["client_secret"].split("_secret_")[0])).waits == answer
    await open_payment(system, begun)
    await until_paid(system, invoice)
    steps = (await of(access, invoice["id"])).steps
    assert any(step.text.endswith("by the sweep, before a webhook came") for step in steps)
    assert [step for step in steps if step.text.startswith("Webhook")] == []


async def open_payment(system: Running, begun: Json) -> None:
    """As the client who comes back from the bank: Stripe is asked at once, and the sweep soon."""
    async with system.client() as client:
        await client.page(f"/c/harbour/payments/{begun['payment_id']}")


async def test_a_webhook_that_came_after_the_sweep(
    system: Running, access: Access, invoice: Json, data: Path
) -> None:
    await system.control("POST", "/faults/webhooks", {"kind": "reorder", "count": 100, "type": "*"})
    try:
        begun = await start(system, invoice)
        await system.confirm(begun)
        await open_payment(system, begun)
        await until_paid(system, invoice)
        swept = await of(access, invoice["id"])
    finally:
        await system.control("DELETE", "/faults")  # releases the held webhooks
    number = receipt_number(UUID(begun["payment_id"]))
    booked = f"{number} booked in the ledger: capture, by the sweep, before a webhook came"
    assert booked in texts(swept)
    assert not any("Webhook" in text for text in texts(swept))

    late: Step = await until(lambda: webhook(access, invoice, "payment_intent.succeeded"))

    assert late.text == "Webhook payment_intent.succeeded: known before"
    [event_id] = late.refs
    [found] = await why(access, event_id)
    assert booked in texts(found)
    assert late in found.steps
    told = await command("why", event_id, "--data", str(data))
    assert (told.exit_code, invoice["number"] in told.stdout) == (0, True)


async def webhook(access: Access, invoice: Json, event_type: str) -> Step | None:
    steps = (await of(access, invoice["id"])).steps
    return next((step for step in steps if step.text.startswith(f"Webhook {event_type}")), None)


async def test_a_worker_that_stands_still(system: Running, access: Access, invoice: Json) -> None:
    with stopped(system, "services.invoice worker"):
        await system.confirm(await start(system, invoice))
        answer = await waits(access, invoice["id"], "not_applied")
    assert re.search("waits? for invoice's worker", answer.text)
    await until_paid(system, invoice)
    # The delay stays to be seen.
    steps = (await of(access, invoice["id"])).steps
    ledger = next(step.at for step in steps if "booked in the ledger" in step.text)
    paid = next(step.at for step in steps if step.text == "Paid")
    assert answer.since is not None
    assert paid > ledger >= answer.since


async def test_webhooks_that_wait_for_the_worker(system: Running, access: Access, invoice: Json) -> None:
    with stopped(system, "services.payment worker"):
        await system.confirm(await start(system, invoice))
        answer = await waits(access, invoice["id"], "webhook_waits")
    assert re.search("waits? for payment's worker", answer.text)
    await until_paid(system, invoice)


async def test_a_relay_that_stands_still(system: Running, access: Access, invoice: Json) -> None:
    with stopped(system, "services.chassis.outbox.relay"):
        await system.confirm(await start(system, invoice))
        answer = await waits(access, invoice["id"], "not_sent")
    assert "outbox of payment" in answer.text
    await until_paid(system, invoice)


async def test_an_event_that_is_parked(system: Running, access: Access, invoice: Json, data: Path) -> None:
    wrong = a_settlement(UUID(await harbour(system)), UUID(invoice["id"]), money(100, "USD"))
    producer = AIOKafkaProducer(bootstrap_servers=access.kafka)
    await producer.start()
    try:
        await producer.send_and_wait("payment.settled", wrong.encode(), key=str(wrong.key).encode())
    finally:
        await producer.stop()

    answer = await waits(access, invoice["id"], "event_parked")

    assert "payment.settled is parked in invoice" in answer.text
    assert "do not replay it" in answer.help  # payment never took it
    told = await command("why", invoice["id"], "--data", str(data))
    assert re.search(rf'`clinicpay parked discard invoice \d+ --reason "why" --data {data}`', told.stdout)


async def test_stripe_that_does_not_answer(system: Running, access: Access, invoice: Json) -> None:
    await start(system, invoice)
    with stopped(system, "deploy.sandbox"):
        await waits(access, invoice["id"], "stripe_away")


async def test_a_paid_invoice_by_every_reference_that_there_is(
    system: Running, access: Access, invoice: Json, data: Path
) -> None:
    begun = await start(system, invoice)
    intent = await system.confirm(begun)
    await until_paid(system, invoice)

    async def receipted() -> Journey | None:
        found = await of(access, invoice["id"])
        return found if "E-mail receipt sent" in texts(found) else None

    journey: Journey = await until(receipted)

    assert journey.waits is None
    said = texts(journey)
    order = [
        next(at for at, text in enumerate(said) if words in text)
        for words in ("Issued", "begun", "booked on the invoice", "receipt sent")
    ]
    assert order == sorted(order)
    trace = next(ref for step in journey.steps for ref in step.refs if len(ref) == 32)
    number = receipt_number(UUID(begun["payment_id"]))
    for reference in (begun["payment_id"], number, number.lower(), intent["id"], trace):
        assert await of(access, reference) == journey, reference
    assert journey in await why(access, invoice["number"])
    client, name = f"/clinics/{await harbour(system)}/clients/{invoice['client_id']}", f"patient-{new_id()}"
    await system.api("PATCH", client, {"external_id": name})
    assert journey in await why(access, name)
    told = await command("why", number, "--json", "--data", str(data))
    assert (told.exit_code, json.loads(told.stdout)[0]["waits_for"]) == (0, None)
    read = await command("why", number, "--data", str(data))
    assert "Nothing waits." in read.stdout


async def test_a_credit_note_and_its_e_mail(system: Running, access: Access, invoice: Json) -> None:
    path = f"/clinics/{await harbour(system)}/invoices/{invoice['id']}/credit-notes"
    amount = {"minor": 1_000, "currency": "EUR"}
    body = {"reason": "goodwill", "amount": amount, "tax_code": "exempt"}
    made = await system.api("POST", path, body, key=str(new_id()))
    number = made["document"]["number"]

    async def told() -> bool:
        # Other clinics have a credit note of this number too.
        found = await why(access, number)
        return any(
            {"E-mail credit_note sent", f"credit note {number}"} <= set(texts(journey))
            and invoice["number"] in journey.title
            for journey in found
        )

    await until(told)
    assert f"credit note {number}" in texts(await of(access, invoice["id"]))


@pytest.mark.parametrize(
    "reference",
    [
        "",
        " ",
        "x",
        "R-0000000000",
        "pi_0",
        "evt_'; DROP TABLE x",
        "%",
        "\u0000",
        "\x1b[31mX",
        "A" * 100_000,
        "é" * 500,
        "01a00000-0000-7000-8000-000000000000",
        "0" * 32,
    ],
)
async def test_a_reference_of_nothing(system: Running, data: Path, reference: str) -> None:
    assert system.url
    told = await command("why", reference, "--data", str(data))
    assert told.exit_code == 1
    assert "Nothing is known" in told.stdout
    assert "\x1b[31mX" not in told.stdout
    assert len(told.stdout) < 500


@pytest.fixture(autouse=True)
async def no_faults(system: Running) -> AsyncIterator[None]:
    yield
    await system.control("DELETE", "/faults")
