"""A client who looks is told what Stripe knows, also when its webhook has not come."""

from typing import Any

import pytest

from contracts.events.invoice import InvoicePaid
from services.payment import consumers
from services.payment.payments import looks, sweep
from tests.builders.callers import a_caller
from tests.builders.events import deliver, outbox_events
from tests.builders.values import eur
from tests.running.payment import PaymentService
from tests.service.test_two_tabs import DEBIT


async def look(payments: PaymentService, started: Any, ask: bool = True) -> Any:
    path = f"/payments/{started.json()['payment_id']}" + ("?ask=true" if ask else "")
    return (await payments.api.call("GET", path, payments.client)).json()


async def on_its_way(payments: PaymentService, caller: Any = None) -> Any:
    answer = await payments.api.call("GET", "/payments/on-its-way", caller or payments.client)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_money_that_stripe_has_is_on_its_way_and_booked_once_by_the_next_sweep(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    await payments.confirm(started)

    assert (await look(payments, started, ask=False))["status"] == "created"
    seen = await look(payments, started)
    assert (seen["status"], seen["asked"], seen["taken"]) == ("processing", True, True)
    assert await payments.books() == []
    await sweep.sweep_payments(payments.worker, payments.stripe)
    assert (await look(payments, started))["status"] == "succeeded"
    await payments.hook.until("payment_intent.succeeded")
    await payments.consume()

    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]
    topics = [event.topic.name for event in await outbox_events(payments.db)]
    assert topics == ["payment.settled", "payment.succeeded"]


@pytest.mark.parametrize(
    ("method", "status"),
    [("pm_card_visa", "processing"), ("pm_card_chargeDeclined", "failed"), (None, "created")],
)
async def test_each_state_is_as_stripe_has_it(
    payments: PaymentService, method: str | None, status: str
) -> None:
    started = await payments.start((await payments.open_invoice(eur(125)), eur(125)))
    if method is not None:
        await payments.confirm(started, method)

    seen = await look(payments, started)

    assert (seen["status"], seen["asked"]) == (status, True)
    assert (await look(payments, started, ask=False))["status"] == "created"


async def test_while_stripe_is_unreachable_the_answer_says_that_it_was_not_asked(
    payments: PaymentService,
) -> None:
    started = await payments.start((await payments.open_invoice(eur(125)), eur(125)))
    await payments.confirm(started)
    fault = {"kind": "500_before", "method": "GET", "path": "/v1/payment_intents/*", "count": 20}
    await payments.sandbox.control("POST", "/faults/api", fault)

    seen = await look(payments, started)

    assert (seen["status"], seen["asked"]) == ("created", False)
    assert await on_its_way(payments) == []


async def test_what_is_taken_is_on_its_way_until_its_invoice_says_so(payments: PaymentService) -> None:
    invoice, other = await payments.open_invoice(eur(125)), await payments.open_invoice(eur(20))
    started = await payments.start((invoice, eur(125)))
    await payments.start((other, eur(20)))
    await payments.confirm(started)

    [found] = await on_its_way(payments)
    assert (found["invoice_id"], found["open"], found["processing"]) == (str(invoice), None, True)
    await sweep.sweep_payments(payments.worker, payments.stripe)
    [found] = await on_its_way(payments)
    assert (found["open"], found["processing"]) == ({"minor": 0, "currency": "EUR"}, False)
    assert await on_its_way(payments, a_caller("client", payments.clinic_id)) == []
    await deliver(
        payments.worker, consumers, payments.invoice(invoice, eur(125), 2, InvoicePaid, status="paid")
    )

    assert await on_its_way(payments) == []


async def test_a_debit_that_a_bank_is_working_on_is_on_its_way(
    payments: PaymentService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await payments.update_clinic(2, methods=("card", "debit"))
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)), method={"kind": "debit"})
    await payments.confirm(started, "", **DEBIT)

    [before] = await on_its_way(payments)
    await payments.hook.until("payment_intent.processing")
    await payments.consume()
    [after] = await on_its_way(payments)

    assert before["processing"] and after["processing"]
    assert (await look(payments, started))["taken"] is False


async def test_stripe_is_not_asked_for_ever_about_an_attempt_that_was_left(payments: PaymentService) -> None:
    await payments.start((await payments.open_invoice(eur(125)), eur(125)))

    await on_its_way(payments)
    assert asked(payments) == 1
    await payments.age(looks.WITHIN)
    await on_its_way(payments)
    assert asked(payments) == 1


def asked(payments: PaymentService) -> int:
    return sum(each.method == "GET" for each in payments.sandbox.requests("/v1/payment_intents/"))
