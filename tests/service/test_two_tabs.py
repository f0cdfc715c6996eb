"""Two tabs, one charge: what test_payment_checkout and test_payment_events leave to be shown of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest

from contracts.invoice import InvoiceUpdated
from contracts.stripe import StripeEvent
from deploy.sandbox import methods
from services.chassis.ids import new_id
from services.payment import consumers, jobs
from tests.builders.callers import a_caller
from tests.builders.events import deliver, outbox_events, waiting_parked
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running import invoice as invoice_world
from tests.running.databases import ServiceDb
from tests.running.payment import Desk, a_desk

DEBIT = {
    "payment_method_data[type]": "sepa_debit",
    "payment_method_data[sepa_debit][iban]": "DE89370400440532013000",
    "return_url": "https://pay.example/back",
}


@pytest.fixture
async def desk(db_payment: ServiceDb, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    # As if switched on in the Dashboard: a method whose money comes, or does not come, days later.
    monkeypatch.setattr(methods, "AUTOMATIC", ("card", "paypal", "sepa_debit"))
    async with a_desk(db_payment) as desk:
        yield desk


async def charges(desk: Desk) -> list[Any]:
    """Stripe's own list of what took money."""
    headers = {"Authorization": f"Bearer {desk.sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=desk.sandbox.url, headers=headers, trust_env=False) as stripe:
        answer = await stripe.get("/v1/charges?limit=100")
    return [charge for charge in answer.json()["data"] if charge["paid"]]


async def statuses(desk: Desk) -> list[str]:
    return sorted(intent["status"] for intent in await desk.intents())


async def test_fifty_presses_and_fifty_confirmations_at_once_make_one_charge(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))

    async def press_and_confirm() -> None:
        await desk.confirm(await desk.start((invoice, eur(125))))

    await asyncio.gather(*(press_and_confirm() for _ in range(50)))
    await desk.hook.until("payment_intent.succeeded")
    await desk.hear()

    assert [charge["amount"] for charge in await charges(desk)] == [12500]
    assert await desk.books() == [("receivable", -12500), ("stripe", 12500)]


async def test_the_database_itself_has_one_reservation_of_an_invoice_at_most(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))
    await desk.start((invoice, eur(125)))
    with pytest.raises(asyncpg.UniqueViolationError, match="allocations_one_open"):
        await desk.db.admin.execute(
            """
            WITH copy AS (
                INSERT INTO payments
                SELECT (jsonb_populate_record(payments, jsonb_build_object(
                    'id', $1::uuid, 'idempotency_key', 'another', 'stripe_payment_intent_id', 'pi_another'))).*
                FROM payments RETURNING clinic_id, id
            )
            INSERT INTO allocations (clinic_id, payment_id, payable_id, amount, state)
            SELECT copy.clinic_id, copy.id, $2, 1, 'open' FROM copy
            """,
            new_id(),
            invoice,
        )


async def test_no_new_attempt_starts_before_stripe_has_confirmed_the_old_ones_end(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))
    first = await desk.start((invoice, eur(125)))
    fault = {"kind": "500_before", "method": "POST", "path": "/v1/payment_intents/*/cancel", "count": 3}
    await desk.sandbox.control("POST", "/faults/api", fault)

    answer = await desk.start((invoice, eur(100)))
    assert (answer.status_code, answer.json()["code"]) == (503, "stripe_unavailable")
    assert await statuses(desk) == ["requires_payment_method"]
    assert (await desk.payment(first.json()["payment_id"]))["status"] == "created"

    await desk.sandbox.control("DELETE", "/faults")
    assert (await desk.start((invoice, eur(100)))).status_code == 201
    asked = [request.path for request in desk.sandbox.requests("/v1/payment_intents")]
    assert [path.rpartition("/")[2] for path in asked[-2:]] == ["cancel", "payment_intents"]


async def test_what_is_paid_in_the_old_tab_after_the_sum_was_lowered_is_credit_that_all_see(
    desk: Desk,
) -> None:
    invoice = await desk.owes(eur(125))
    old_tab = await desk.start((invoice, eur(125)))
    await deliver(desk.worker, consumers, desk.invoice(invoice, eur(100), 2, InvoiceUpdated))
    refused = await desk.start((invoice, eur(125)))
    assert (refused.status_code, refused.json()["open"]) == (409, {"minor": 10000, "currency": "EUR"})

    await desk.confirm(old_tab)
    await desk.hook.until("payment_intent.succeeded")
    await desk.hear()

    assert await desk.books() == [("client_credit", -2500), ("receivable", -10000), ("stripe", 12500)]
    credit = await desk.api.call("GET", "/credit", desk.client)
    assert credit.json() == [{"minor": 2500, "currency": "EUR"}]
    staff = a_caller("staff", desk.clinic_id)
    seen = await desk.api.call("GET", f"/payments/{old_tab.json()['payment_id']}", staff)
    assert seen.json()["surplus"] == {"minor": 2500, "currency": "EUR"}
    assert (await desk.start((invoice, eur(1)))).json()["code"] == "already_paid"


@pytest.mark.parametrize("change", [{"due_before_payments": eur(100)}, {"status": "void"}])
async def test_an_attempt_over_more_than_is_due_by_now_is_ended_by_the_next_sweep(
    desk: Desk, change: dict[str, Any]
) -> None:
    other = await desk.owes(eur(125))
    await desk.start((other, eur(125)))
    invoice = await desk.owes(eur(125))
    old_tab = await desk.start((invoice, eur(125)))
    await deliver(desk.worker, consumers, desk.invoice(invoice, eur(125), 2, InvoiceUpdated, **change))

    await jobs.sweep_payments(desk.worker, desk.stripe)

    assert (await desk.payment(old_tab.json()["payment_id"]))["status"] == "canceled"
    assert await statuses(desk) == ["canceled", "requires_payment_method"]
    assert "error" in await desk.confirm(old_tab)
    assert await charges(desk) == []


async def test_a_debit_that_failed_is_ended_at_stripe_before_another_attempt_starts(desk: Desk) -> None:
    """Its reservation ended with the failure, and yet its tab could still pay with it."""
    invoice = await desk.owes(eur(125))
    old_tab = await desk.start((invoice, eur(125)), method={"kind": "redirect"})
    intent = await desk.confirm(old_tab, "", **DEBIT)
    await desk.hook.until("payment_intent.processing")
    await desk.hear()
    path = f"/accounts/platform/payment_intents/{intent['id']}/settle"
    await desk.sandbox.control("POST", path, {"outcome": "failed"})
    await desk.hook.until("payment_intent.payment_failed")
    await desk.hear()

    new_tab = await desk.start((invoice, eur(125)), method={"kind": "redirect"})

    assert await statuses(desk) == ["canceled", "requires_payment_method"]
    assert "error" in await desk.confirm(old_tab, "", **DEBIT)
    assert (await desk.confirm(new_tab, "", **DEBIT))["status"] == "processing"


def later(event: StripeEvent, event_type: str) -> StripeEvent:
    created = event.created.replace(year=event.created.year + 1)
    return event.model_copy(update={"id": new_id(), "event_type": event_type, "created": created})


@pytest.mark.parametrize("event_type", ["payment_intent.payment_failed", "payment_intent.canceled"])
async def test_a_late_failure_never_undoes_a_success(desk: Desk, event_type: str) -> None:
    invoice = await desk.owes(eur(125))
    payment_id = await desk.pay((invoice, eur(125)))
    said = await outbox_events(desk.db)
    success = next(event for event in desk.hook.events() if event.event_type == "payment_intent.succeeded")

    await desk.hear(later(success, event_type))

    assert (await desk.payment(payment_id))["status"] == "succeeded"
    assert await outbox_events(desk.db) == said
    assert await desk.books() == [("receivable", -12500), ("stripe", 12500)]


async def test_a_movement_of_another_clinic_keeps_none_of_the_invoices_own_from_being_booked(
    db_invoice: ServiceDb,
) -> None:
    async with invoice_world.a_world(db_invoice) as world:
        stranger, _ = await world.add_clinic("elsewhere")
        invoice = await world.issue()
        invoice_id = UUID(invoice["id"])

        await world.deliver(a_settlement(stranger, invoice_id, eur(125)))
        assert (await world.get(f"/invoices/{invoice_id}"))["status"] == "unpaid"
        await world.deliver(a_settlement(world.clinic_id, invoice_id, eur(125)))

        assert (await world.get(f"/invoices/{invoice_id}"))["status"] == "paid"
        assert await waiting_parked(db_invoice) == [("payment.settled", "invoice_not_found")]
