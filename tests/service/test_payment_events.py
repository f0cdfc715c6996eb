"""What Stripe tells, or does not tell, on a real database: booked once, parked by name, swept in the end."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.events import Method
from contracts.invoice import InvoiceUpdated
from contracts.payment import PaymentFailed, PaymentSettled, PaymentSucceeded, PaymentUpdated
from contracts.stripe import StripeEvent
from services.chassis.ids import new_id
from services.payment import consumers, jobs
from services.payment import stripe_batches as stripe_actions
from tests.builders.callers import a_caller
from tests.builders.events import deliver, outbox_events, waiting_parked
from tests.builders.values import eur
from tests.running.payment import Desk


async def a_confirmed_payment(desk: Desk, method: str = "pm_card_visa", **how: Any) -> tuple[UUID, Any]:
    """(invoice, answer of the start) of a payment of 125 EUR that Stripe has taken and nobody here knows of."""
    invoice = await desk.owes(eur(125))
    started = await desk.start((invoice, eur(125)), **how)
    assert started.status_code == 201, started.text
    await desk.confirm(started, method)
    return invoice, started


def the(desk: Desk, event_type: str) -> StripeEvent:
    return next(event for event in desk.hook.events() if event.event_type == event_type)


async def test_a_decline_is_told_in_plain_words_and_the_same_payment_may_be_tried_again(desk: Desk) -> None:
    _, started = await a_confirmed_payment(desk, "pm_card_chargeDeclinedInsufficientFunds")
    await desk.hook.until("payment_intent.payment_failed")
    await desk.hear()

    failed = await desk.payment(started.json()["payment_id"])
    assert failed["status"] == "failed"
    assert failed["failure"] == {
        "code": "insufficient_funds",
        "message": "There is not enough money on this card.",
    }
    assert [type(event) for event in await outbox_events(desk.db)] == [PaymentFailed]

    await desk.confirm(started, "pm_card_visa")
    await desk.hook.until("payment_intent.succeeded")
    await desk.hear()

    paid = await desk.payment(started.json()["payment_id"])
    assert (paid["status"], paid["failure"], paid["method"]["last4"]) == ("succeeded", None, "4242")
    assert await desk.books() == [("receivable", -12500), ("stripe", 12500)]


async def test_a_bank_that_asks_the_client_is_waited_for(desk: Desk) -> None:
    _, started = await a_confirmed_payment(desk, "pm_card_threeDSecure2Required")
    await desk.hook.until("payment_intent.requires_action")
    await desk.hear()
    assert (await desk.payment(started.json()["payment_id"]))["status"] == "requires_action"
    assert await outbox_events(desk.db) == []


async def test_a_webhook_may_be_faster_than_the_answer_to_the_call(desk: Desk) -> None:
    await a_confirmed_payment(desk)
    await desk.hook.until("payment_intent.succeeded")
    await desk.db.admin.execute("UPDATE payments SET stripe_payment_intent_id = NULL")

    await desk.hear()

    kept = await desk.db.admin.fetchrow("SELECT status, stripe_payment_intent_id FROM payments")
    assert kept is not None
    assert kept["status"] == "succeeded"
    assert kept["stripe_payment_intent_id"].startswith("pi_")


async def test_a_success_that_comes_before_its_charge_is_told_as_by_card(desk: Desk) -> None:
    _, started = await a_confirmed_payment(desk)
    await desk.hook.until("charge.succeeded")
    await desk.hook.until("payment_intent.succeeded")

    await desk.hear(the(desk, "payment_intent.succeeded"))
    settled = (await outbox_events(desk.db))[0]
    assert isinstance(settled, PaymentSettled)
    assert settled.method == Method(kind="card")

    charge = the(desk, "charge.succeeded")
    await desk.hear(charge)
    await desk.hear(charge, the(desk, "payment_intent.succeeded"))
    after = await desk.payment(started.json()["payment_id"])
    assert after["method"]["last4"] == "4242"
    *before, updated = await outbox_events(desk.db)
    assert [event.topic.name for event in before] == ["payment.settled", "payment.succeeded"]
    assert isinstance(updated, PaymentUpdated)
    assert updated.method == Method(kind="card", brand="visa", last4="4242")
    assert (updated.payment_id, updated.invoices) == (settled.payment_id, (settled.invoice_id,))
    assert updated.traceparent == charge.traceparent
    assert isinstance(before[1], PaymentSucceeded)
    assert after["version"] == before[1].version


async def test_a_declined_card_is_not_what_a_payment_was_made_with(desk: Desk) -> None:
    """All that Stripe told of two attempts is in one batch, as after a pause of the worker, and of one second."""
    invoice = await desk.owes(eur(125))
    started = await desk.start((invoice, eur(125)))
    await desk.confirm(started, "pm_card_chargeDeclined")
    await desk.confirm(started, "pm_card_mastercard")
    for told in ("payment_intent.payment_failed", "charge.succeeded", "payment_intent.succeeded"):
        await desk.hook.until(told)

    heard = desk.hook.events()
    at = max(event.created for event in heard)
    await desk.hear(*(event.model_copy(update={"created": at}) for event in heard))

    methods = [event.method for event in await outbox_events(desk.db) if isinstance(event, PaymentSettled)]
    assert [method.brand for method in methods if method] == ["mastercard"]


async def test_what_came_above_what_is_open_becomes_credit(desk: Desk) -> None:
    invoice, started = await a_confirmed_payment(desk)
    await desk.hook.until("payment_intent.succeeded")
    await deliver(desk.worker, consumers, desk.invoice(invoice, eur(100), 2, InvoiceUpdated))

    await desk.hear()

    assert await desk.books() == [("client_credit", -2500), ("receivable", -10000), ("stripe", 12500)]
    credit = await desk.api.call("GET", "/credit", desk.client)
    assert credit.json() == [{"minor": 2500, "currency": "EUR"}]
    paid = await desk.payment(started.json()["payment_id"])
    assert paid["surplus"] == {"minor": 2500, "currency": "EUR"}
    settled, succeeded = await outbox_events(desk.db)
    assert isinstance(settled, PaymentSettled)
    assert settled.amount == eur(100)
    assert isinstance(succeeded, PaymentSucceeded)
    assert succeeded.surplus == eur(25)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"livemode": True}, "stripe_wrong_mode"),
        ({"clinic": new_id()}, "stripe_unknown_payment"),
        ({"payment_id": new_id()}, "stripe_unknown_payment"),
        ({"amount_received": None}, "stripe_wrong_charge"),
        ({"currency": "USD"}, "stripe_wrong_charge"),
    ],
)
async def test_a_signed_event_that_does_not_fit_is_parked_and_the_others_go_on(
    desk: Desk, changes: dict[str, Any], reason: str
) -> None:
    _, forged_of = await a_confirmed_payment(desk)
    await desk.hook.until("payment_intent.succeeded")
    forged = the(desk, "payment_intent.succeeded").model_copy(update=changes | {"id": new_id()})
    desk.hook.bodies.clear()
    _, good = await a_confirmed_payment(desk)
    await desk.hook.until("payment_intent.succeeded")

    await desk.hear(forged, *desk.hook.events())

    assert await waiting_parked(desk.db) == [("stripe.event", reason)]
    assert (await desk.payment(forged_of.json()["payment_id"]))["status"] == "created"
    assert (await desk.payment(good.json()["payment_id"]))["status"] == "succeeded"


async def test_an_event_of_somebody_elses_charge_on_the_account_is_none_of_ours(desk: Desk) -> None:
    await a_confirmed_payment(desk)
    await desk.hook.until("payment_intent.succeeded")
    strange = {
        "id": new_id(),
        "payment_id": None,
        "clinic": None,
        "payment_intent": "pi_x",
        "object_id": "pi_x",
    }

    await desk.hear(the(desk, "payment_intent.succeeded").model_copy(update=strange))

    assert await waiting_parked(desk.db) == []
    assert await desk.books() == []


async def test_two_workers_with_the_same_batch_book_once(desk: Desk) -> None:
    await a_confirmed_payment(desk)
    await desk.hook.until("payment_intent.succeeded")
    events = desk.hook.events()
    again = [event.model_copy(update={"id": new_id()}) for event in events]

    await asyncio.gather(desk.hear(*events), desk.hear(*again), desk.hear(*reversed(events)))

    assert await desk.books() == [("receivable", -12500), ("stripe", 12500)]
    assert len(await outbox_events(desk.db)) == 2


async def statements(desk: Desk, events: list[StripeEvent]) -> int:
    """How many statements a batch takes."""
    asked: list[str] = []
    async with desk.worker.worker_tx() as tx:
        tx.add_query_logger(lambda logged: asked.append(logged.query))
        await stripe_actions.apply_stripe_events(tx, events)
    return len(asked)


async def test_a_batch_takes_as_many_statements_as_a_single_event(desk: Desk) -> None:
    for _ in range(6):
        await a_confirmed_payment(desk)
    await desk.hook.until("payment_intent.succeeded", 6)
    events = [event for event in desk.hook.events() if event.event_type == "payment_intent.succeeded"]

    await statements(desk, events[:1])  # a connection's first use looks types up
    one, four = await statements(desk, events[1:2]), await statements(desk, events[2:])

    assert one == four <= 12
    assert await desk.books() == [("receivable", -75000), ("stripe", 75000)]


async def test_without_any_webhook_the_sweeper_books_it_and_late_webhooks_change_nothing(desk: Desk) -> None:
    _, started = await a_confirmed_payment(desk)
    await desk.hook.until("payment_intent.succeeded")

    await jobs.sweep_payments(desk.worker, desk.stripe)
    assert (await desk.payment(started.json()["payment_id"]))["status"] == "created"  # too young to ask about
    await desk.grown_old(timedelta(minutes=5))
    await jobs.sweep_payments(desk.worker, desk.stripe)

    paid = await desk.payment(started.json()["payment_id"])
    assert (paid["status"], paid["method"]["last4"]) == ("succeeded", "4242")
    said = await outbox_events(desk.db)
    await desk.hear()
    assert await outbox_events(desk.db) == said
    assert await desk.books() == [("receivable", -12500), ("stripe", 12500)]


async def test_the_sweeper_notes_a_decline_once(desk: Desk) -> None:
    await a_confirmed_payment(desk, "pm_card_chargeDeclined")
    for _ in range(3):
        await desk.grown_old(timedelta(minutes=5))
        await jobs.sweep_payments(desk.worker, desk.stripe)
    assert [type(event) for event in await outbox_events(desk.db)] == [PaymentFailed]


async def test_a_payment_that_nobody_finishes_is_canceled_after_a_day(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))
    started = await desk.start((invoice, eur(125)))
    await desk.grown_old(timedelta(hours=25))

    await jobs.sweep_payments(desk.worker, desk.stripe)

    assert [intent["status"] for intent in await desk.intents()] == ["canceled"]
    assert (await desk.payment(started.json()["payment_id"]))["status"] == "canceled"
    assert (await desk.start((invoice, eur(125)))).status_code == 201


async def test_a_payment_that_never_reached_stripe_is_given_up(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))
    fault = {"kind": "500_before", "method": "POST", "path": "/v1/payment_intents", "count": 3}
    await desk.sandbox.control("POST", "/faults/api", fault)
    assert (await desk.start((invoice, eur(125)))).status_code == 503
    await desk.grown_old(timedelta(minutes=11))

    await jobs.sweep_payments(desk.worker, desk.stripe)

    assert await desk.intents() == []
    assert await desk.db.admin.fetchval("SELECT status FROM payments") == "canceled"
    assert await desk.db.admin.fetchval("SELECT state FROM allocations") == "released"


async def test_an_intent_whose_answer_was_lost_is_found_by_its_metadata(desk: Desk) -> None:
    await a_confirmed_payment(desk)
    await desk.db.admin.execute("UPDATE payments SET stripe_payment_intent_id = NULL")
    for _ in range(2):
        await desk.grown_old(timedelta(minutes=11))
        await jobs.sweep_payments(desk.worker, desk.stripe)
    assert await desk.books() == [("receivable", -12500), ("stripe", 12500)]


async def test_one_payment_that_cannot_be_asked_about_keeps_no_other_from_it(desk: Desk) -> None:
    await a_confirmed_payment(desk)
    await a_confirmed_payment(desk)
    await desk.grown_old(timedelta(minutes=5))
    await desk.sandbox.control("POST", "/faults/api", {"kind": "429", "method": "GET", "count": 4})

    await jobs.sweep_payments(desk.worker, desk.stripe)

    statuses = await desk.db.admin.fetch("SELECT status FROM payments ORDER BY status")
    assert "succeeded" in [row["status"] for row in statuses]


async def test_a_clinic_with_its_own_account_is_charged_there(desk: Desk) -> None:
    desk.account = "acct_oak"
    await desk.sandbox.control("PUT", "/accounts/acct_oak", {})
    operator = a_caller("operator", desk.clinic_id)
    put = await desk.api.call("PUT", "/account", operator, json={"stripe_account_id": "acct_oak"})
    assert put.json()["stripe_account_id"] == "acct_oak"
    elsewhere = await desk.api.call(
        "PUT", "/account", a_caller("operator", new_id()), json={"stripe_account_id": "acct_oak"}
    )
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "stripe_account_in_use")

    _, started = await a_confirmed_payment(desk)
    assert started.json()["stripe_account"] == "acct_oak"
    await desk.hook.until("payment_intent.succeeded")
    await desk.hear()

    assert the(desk, "payment_intent.succeeded").account == "acct_oak"
    assert {request.account for request in desk.sandbox.requests("/v1/payment_intents")} == {"acct_oak"}
    assert await desk.books() == [("receivable", -12500), ("stripe", 12500)]


async def test_the_books_cannot_be_changed_and_must_balance(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))
    await desk.pay((invoice, eur(125)))
    for role in (desk.worker.worker_tx, lambda: desk.db.api.tx(desk.clinic_id)):
        for statement in ("UPDATE postings SET amount = 1", "DELETE FROM postings", "DELETE FROM entries"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with role() as tx:
                    await tx.execute(statement)
    with pytest.raises(asyncpg.CheckViolationError, match="does not balance"):
        async with desk.worker.worker_tx() as tx:
            await tx.execute(
                """
                INSERT INTO postings (clinic_id, entry_id, position, account, amount, currency)
                SELECT clinic_id, id, 99, 'stripe', 1, 'EUR' FROM entries
                """
            )


async def test_the_api_role_sees_one_clinic_and_books_nothing(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))
    await desk.pay((invoice, eur(125)))
    tables = ("clinics", "payables", "payments", "allocations", "entries", "postings", "movements")
    for clinic_id, rows in ((desk.clinic_id, True), (new_id(), False), (None, False)):
        async with desk.db.api.tx(clinic_id) as tx:
            for table in tables:
                assert (await tx.fetchval(f"SELECT count(*) FROM {table}") > 0) is rows, table
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with desk.db.api.tx(desk.clinic_id) as tx:
            await tx.execute("UPDATE payables SET settled_amount = 0")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with desk.db.api.tx(desk.clinic_id) as tx:
            await tx.execute("INSERT INTO entries SELECT * FROM entries")


async def test_a_payment_cannot_point_at_another_clinics_invoice(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await desk.db.admin.execute(
            """
            INSERT INTO movements (clinic_id, id, payment_id, payable_id, kind, amount, currency, booked_at)
            VALUES ($1, $2, $2, $3, 'payment', 1, 'EUR', $4)
            """,
            new_id(),
            new_id(),
            invoice,
            datetime.now(UTC),
        )
