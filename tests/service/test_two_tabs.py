"""Two tabs, one charge: what test_payment_checkout and test_payment_events leave to be shown of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import msgspec
import pytest

from contracts.events.invoice import InvoiceUpdated
from contracts.events.stripe import StripeEvent
from contracts.http.payments import PaymentIn
from contracts.money import Money
from services.chassis.db.database import Connection
from services.chassis.ids import new_id
from services.payment import consumers
from services.payment.payments import schemas, sweep
from services.payment.payments import stripe_calls as checkout
from services.payment.payments.domain import ChosenElsewhere
from services.payment.payments.starting import PaymentRequest
from tests.builders.callers import a_caller
from tests.builders.events import deliver, outbox_events, waiting_parked
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.invoice import an_invoice_service
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


async def charges(payments: PaymentService) -> list[Any]:
    """Stripe's own list of what took money."""
    headers = {"Authorization": f"Bearer {payments.sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=payments.sandbox.url, headers=headers, trust_env=False) as stripe:
        answer = await stripe.get("/v1/charges?limit=100")
    return [charge for charge in answer.json()["data"] if charge["paid"]]


async def statuses(payments: PaymentService) -> list[str]:
    return sorted(intent["status"] for intent in await payments.intents())


async def test_fifty_presses_and_fifty_confirmations_at_once_make_one_charge(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(125))

    async def press_and_confirm() -> None:
        await payments.confirm(await payments.start((invoice, eur(125))))

    await asyncio.gather(*(press_and_confirm() for _ in range(50)))
    await payments.hook.until("payment_intent.succeeded")
    await payments.consume()

    assert [charge["amount"] for charge in await charges(payments)] == [12500]
    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]


WAYS: tuple[dict[str, Any], ...] = (
    {"method": {"kind": "card"}},
    {"method": {"kind": "card"}, "save": True},
    {"method": {"kind": "debit"}},
)


def ways_to_pay(invoice: UUID, count: int) -> list[tuple[tuple[UUID, Money], dict[str, Any]]]:
    """So many choices, each another one: the amount, the way and whether to save the card."""
    return [((invoice, eur(125 - number // 3)), WAYS[number % 3]) for number in range(count)]


async def the_live_intent(payments: PaymentService) -> Any:
    (live,) = [each for each in await payments.intents() if each["status"] == "requires_payment_method"]
    return live


async def test_of_fifty_tabs_with_other_choices_the_last_wins_once(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    choices = ways_to_pay(invoice, 50)

    answers = await asyncio.gather(*(payments.start(share, **how) for share, how in choices))

    winner = await the_live_intent(payments)
    newest = await payments.db.admin.fetchval("SELECT choice FROM payables")
    (won,) = [
        answer
        for answer in answers
        if answer.status_code == 201 and answer.json()["client_secret"] == winner["client_secret"]
    ]
    request = next(
        schemas.payment_request(as_body(share, how), payments.client_id, None)
        for (share, how), answer in zip(choices, answers, strict=True)
        if answer is won
    )
    assert request is not None and request.choice == newest
    others = {(answer.status_code, answer.json().get("code")) for answer in answers if answer is not won}
    assert others <= {(409, "chosen_elsewhere"), (201, None)}
    # Few of the others have begun: one by one they would have made and canceled fifty.
    assert len(await payments.intents()) <= 25
    by_debit = request.kind == "debit"
    paid = await payments.confirm(won, "", **DEBIT) if by_debit else await payments.confirm(won)
    assert paid["status"] == ("processing" if by_debit else "succeeded")
    assert (await statuses(payments)).count("canceled") == len(await payments.intents()) - 1


def as_body(share: tuple[UUID, Money], how: dict[str, Any]) -> PaymentIn:
    return msgspec.convert(
        {"invoices": [{"invoice_id": str(share[0]), "amount": share[1].model_dump()}], **how}, PaymentIn
    )


@pytest.mark.parametrize("at", [2, 3, 4])
async def test_a_press_that_is_overtaken_at_any_time_cancels_and_starts_nothing_more(
    payments: PaymentService, at: int
) -> None:
    """Before its transaction number `at` the client chooses something else in another tab."""
    invoice = await payments.open_invoice(eur(125))
    await payments.start((invoice, eur(75)))
    opened = 0
    newest: Any = None

    @asynccontextmanager
    async def transaction() -> AsyncIterator[Connection]:
        nonlocal opened, newest
        opened += 1
        if opened == at:
            newest = await payments.start((invoice, eur(125)), method={"kind": "debit"})
        async with payments.db.api.tx(payments.clinic_id) as tx:
            yield tx

    older = PaymentRequest(payments.client_id, {invoice: eur(100)}, "card")
    try:
        await checkout.start(transaction, payments.stripe, payments.clinic_id, older)
    except ChosenElsewhere as refused:
        assert "another tab" in refused.detail

    assert newest.status_code == 201
    assert (await the_live_intent(payments))["client_secret"] == newest.json()["client_secret"]
    again = await payments.start((invoice, eur(100)))
    assert (again.status_code, (await the_live_intent(payments))["amount"]) == (201, 10000)


async def test_what_is_refused_is_no_choice(payments: PaymentService) -> None:
    """Neither a wrong amount nor a stranger's press keeps a tab that has begun from going on."""
    invoice = await payments.open_invoice(eur(125))
    first = await payments.start((invoice, eur(125)))
    chosen = await payments.db.admin.fetchval("SELECT choice FROM payables")

    assert (await payments.start((invoice, eur(200)))).status_code == 409
    stranger = a_caller("client", payments.clinic_id)
    assert (await payments.start((invoice, eur(75)), caller=stranger)).status_code == 404

    assert await payments.db.admin.fetchval("SELECT choice FROM payables") == chosen
    assert (await the_live_intent(payments))["client_secret"] == first.json()["client_secret"]


async def test_the_database_itself_has_one_reservation_of_an_invoice_at_most(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.start((invoice, eur(125)))
    with pytest.raises(asyncpg.UniqueViolationError, match="allocations_one_open"):
        await payments.db.admin.execute(
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


async def test_no_new_attempt_starts_before_stripe_has_confirmed_the_old_ones_end(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(125))
    first = await payments.start((invoice, eur(125)))
    fault = {"kind": "500_before", "method": "POST", "path": "/v1/payment_intents/*/cancel", "count": 3}
    await payments.sandbox.control("POST", "/faults/api", fault)

    answer = await payments.start((invoice, eur(100)))
    assert (answer.status_code, answer.json()["code"]) == (503, "stripe_unavailable")
    assert await statuses(payments) == ["requires_payment_method"]
    assert (await payments.payment(first.json()["payment_id"]))["status"] == "created"

    await payments.sandbox.control("DELETE", "/faults")
    assert (await payments.start((invoice, eur(100)))).status_code == 201
    asked = [request.path for request in payments.sandbox.requests("/v1/payment_intents")]
    assert [path.rpartition("/")[2] for path in asked[-2:]] == ["cancel", "payment_intents"]


async def test_what_is_paid_in_the_old_tab_after_the_sum_was_lowered_is_credit_that_all_see(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(125))
    old_tab = await payments.start((invoice, eur(125)))
    await deliver(payments.worker, consumers, payments.invoice(invoice, eur(100), 2, InvoiceUpdated))
    refused = await payments.start((invoice, eur(125)))
    assert (refused.status_code, refused.json()["open"]) == (409, {"minor": 10000, "currency": "EUR"})

    await payments.confirm(old_tab)
    await payments.hook.until("payment_intent.succeeded")
    await payments.consume()

    assert await payments.books() == [("client_credit", -2500), ("receivable", -10000), ("stripe", 12500)]
    credit = await payments.api.call("GET", "/credit", payments.client)
    assert credit.json() == [{"minor": 2500, "currency": "EUR"}]
    staff = a_caller("staff", payments.clinic_id)
    seen = await payments.api.call("GET", f"/payments/{old_tab.json()['payment_id']}", staff)
    assert seen.json()["surplus"] == {"minor": 2500, "currency": "EUR"}
    assert (await payments.start((invoice, eur(1)))).json()["code"] == "already_paid"


@pytest.mark.parametrize("change", [{"due_before_payments": eur(100)}, {"status": "void"}])
async def test_an_attempt_over_more_than_is_due_by_now_is_ended_by_the_next_sweep(
    payments: PaymentService, change: dict[str, Any]
) -> None:
    other = await payments.open_invoice(eur(125))
    await payments.start((other, eur(125)))
    invoice = await payments.open_invoice(eur(125))
    old_tab = await payments.start((invoice, eur(125)))
    await deliver(
        payments.worker, consumers, payments.invoice(invoice, eur(125), 2, InvoiceUpdated, **change)
    )

    await sweep.sweep_payments(payments.worker, payments.stripe)

    assert (await payments.payment(old_tab.json()["payment_id"]))["status"] == "canceled"
    assert await statuses(payments) == ["canceled", "requires_payment_method"]
    assert "error" in await payments.confirm(old_tab)
    assert await charges(payments) == []


async def test_a_debit_that_failed_is_ended_at_stripe_before_another_attempt_starts(
    payments: PaymentService,
) -> None:
    """Its reservation ended with the failure, and yet its tab could still pay with it."""
    invoice = await payments.open_invoice(eur(125))
    old_tab = await payments.start((invoice, eur(125)), method={"kind": "debit"})
    intent = await payments.confirm(old_tab, "", **DEBIT)
    await payments.hook.until("payment_intent.processing")
    await payments.consume()
    await payments.sandbox.control("POST", "/clock", {"offset_seconds": 2})
    path = f"/accounts/platform/payment_intents/{intent['id']}/settle"
    await payments.sandbox.control("POST", path, {"outcome": "failed"})
    await payments.hook.until("payment_intent.payment_failed")
    await payments.consume()

    new_tab = await payments.start((invoice, eur(125)), method={"kind": "debit"})

    assert await statuses(payments) == ["canceled", "requires_payment_method"]
    assert "error" in await payments.confirm(old_tab, "", **DEBIT)
    assert (await payments.confirm(new_tab, "", **DEBIT))["status"] == "processing"


def later(event: StripeEvent, event_type: str) -> StripeEvent:
    created = event.created.replace(year=event.created.year + 1)
    return event.model_copy(update={"id": new_id(), "event_type": event_type, "created": created})


@pytest.mark.parametrize("event_type", ["payment_intent.payment_failed", "payment_intent.canceled"])
async def test_a_late_failure_never_undoes_a_success(payments: PaymentService, event_type: str) -> None:
    invoice = await payments.open_invoice(eur(125))
    payment_id = await payments.pay((invoice, eur(125)))
    published = await outbox_events(payments.db)
    success = next(
        event for event in payments.hook.events() if event.event_type == "payment_intent.succeeded"
    )

    await payments.consume(later(success, event_type))

    assert (await payments.payment(payment_id))["status"] == "succeeded"
    assert await outbox_events(payments.db) == published
    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]


async def test_a_movement_of_another_clinic_keeps_none_of_the_invoices_own_from_being_booked(
    db_invoice: ServiceDb,
) -> None:
    async with an_invoice_service(db_invoice) as world:
        stranger, _ = await world.add_clinic("elsewhere")
        invoice = await world.issue()
        invoice_id = UUID(invoice["id"])

        await world.deliver(a_settlement(stranger, invoice_id, eur(125)))
        assert (await world.get(f"/invoices/{invoice_id}"))["status"] == "unpaid"
        await world.deliver(a_settlement(world.clinic_id, invoice_id, eur(125)))

        assert (await world.get(f"/invoices/{invoice_id}"))["status"] == "paid"
        assert await waiting_parked(db_invoice) == [("payment.settled", "invoice_not_found")]
