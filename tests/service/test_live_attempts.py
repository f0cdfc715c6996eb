"""Live attempts of an invoice whose due falls: a test for each row of the table in docs/adr/0041."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from contracts.events.invoice import InvoiceState
from services.chassis.ids import new_id
from services.payment import consumers
from services.payment.payments import sweep
from tests.builders.events import deliver
from tests.builders.invoices import a_correction
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.payment import PaymentService, a_payment_service

DEBIT = {
    "payment_method_data[type]": "sepa_debit",
    "payment_method_data[sepa_debit][iban]": "DE89370400440532013000",
    "return_url": "https://pay.example/back",
}


@pytest.fixture
async def payments(db_payment: ServiceDb) -> AsyncIterator[PaymentService]:
    async with a_payment_service(db_payment) as payments:
        await payments.update_clinic(2, methods=("card", "redirect", "debit"))
        yield payments


async def created(payments: PaymentService, invoice: UUID) -> Any:
    return await payments.start((invoice, eur(125)))


async def declined(payments: PaymentService, invoice: UUID) -> Any:
    started = await created(payments, invoice)
    await payments.confirm(started, "pm_card_chargeDeclined")
    await payments.hook.until("payment_intent.payment_failed")
    await payments.consume()
    return started


async def asked(payments: PaymentService, invoice: UUID) -> Any:
    """Its bank wants the client to confirm."""
    started = await created(payments, invoice)
    await payments.confirm(started, "pm_card_threeDSecure2Required")
    await payments.hook.until("payment_intent.requires_action")
    await payments.consume()
    return started


async def saved(payments: PaymentService, invoice: UUID) -> Any:
    """With a card that was saved by an earlier payment."""
    other = await payments.open_invoice(eur(10))
    await payments.pay((other, eur(10)), save=True)
    await payments.hook.until("payment_method.attached")
    await payments.consume()
    [card] = (await payments.api.call("GET", "/payment-methods", payments.client)).json()["items"]
    return await payments.start(
        (invoice, eur(125)), method={"kind": "saved", "payment_method_id": card["id"]}
    )


Begin = Callable[[PaymentService, UUID], Awaitable[Any]]
CORRECTIONS: dict[str, dict[str, Any]] = {
    "credit note": {"minor": 2_500},
    "write-off": {"minor": 2_500, "kind": "write_off", "number": None},
    "void": {"minor": 12_500, "kind": "void", "number": None},
}


async def an_invoice(payments: PaymentService) -> InvoiceState:
    event = payments.invoice(new_id(), eur(125))
    await deliver(payments.worker, consumers, event)
    return event


@pytest.mark.parametrize(
    ("begin", "correction"),
    [
        (created, "void"),
        (created, "write-off"),
        (declined, "credit note"),
        (asked, "void"),
        (saved, "credit note"),
    ],
)
async def test_an_attempt_that_took_no_money_is_canceled_at_stripe_by_the_next_sweep(
    payments: PaymentService, begin: Begin, correction: str
) -> None:
    event = await an_invoice(payments)
    started = await begin(payments, event.invoice_id)

    await deliver(payments.worker, consumers, a_correction(event, **CORRECTIONS[correction]))
    await sweep.sweep_payments(payments.worker, payments.stripe)

    payment = await payments.payment(started.json()["payment_id"])
    assert payment["status"] == "canceled"
    assert "error" in await payments.confirm(started)


@pytest.mark.parametrize("correction", CORRECTIONS)
async def test_a_debit_on_its_way_stays_and_the_rest_becomes_credit(
    payments: PaymentService, correction: str
) -> None:
    event = await an_invoice(payments)
    started = await payments.start((event.invoice_id, eur(125)), method={"kind": "debit"})
    intent = await payments.confirm(started, "", **DEBIT)
    await payments.hook.until("payment_intent.processing")
    await payments.consume()

    change = a_correction(event, **CORRECTIONS[correction])
    await deliver(payments.worker, consumers, change)
    await sweep.sweep_payments(payments.worker, payments.stripe)
    assert (await payments.payment(started.json()["payment_id"]))["status"] == "processing"
    path = f"/accounts/platform/payment_intents/{intent['id']}/settle"
    await payments.sandbox.control("POST", path, {"outcome": "succeeded"})
    await payments.hook.until("payment_intent.succeeded")
    await payments.consume()

    taken = change.document.total.minor
    books = dict(await payments.books())
    assert books["client_credit"] == -taken
    assert books.get("receivable", 0) == taken - 12_500


async def test_an_attempt_over_no_more_than_is_still_due_goes_on(payments: PaymentService) -> None:
    """In two tabs a part and another part: the credit note leaves enough for the one that is open."""
    event = await an_invoice(payments)
    started = await payments.start((event.invoice_id, eur(50)))

    await deliver(payments.worker, consumers, a_correction(event, minor=7_500))
    await sweep.sweep_payments(payments.worker, payments.stripe)
    await payments.confirm(started)
    await payments.hook.until("payment_intent.succeeded")
    await payments.consume()

    assert await payments.books() == [("receivable", -5_000), ("stripe", 5_000)]


async def test_a_tab_that_pays_before_the_sweep_pays_what_is_due_and_the_rest_is_credit(
    payments: PaymentService,
) -> None:
    event = await an_invoice(payments)
    old_tab = await created(payments, event.invoice_id)
    await deliver(payments.worker, consumers, a_correction(event, minor=2_500))
    refused = await payments.start((event.invoice_id, eur(125)))
    assert (refused.status_code, refused.json()["open"]) == (409, {"minor": 10_000, "currency": "EUR"})

    await payments.confirm(old_tab)
    await payments.hook.until("payment_intent.succeeded")
    await payments.consume()

    assert await payments.books() == [("client_credit", -2_500), ("receivable", -10_000), ("stripe", 12_500)]
