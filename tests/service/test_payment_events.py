"""Stripe's events, also missing ones, on a real database: booked once, parked by name, swept in the end."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.events.envelope import Method
from contracts.events.invoice import InvoiceUpdated
from contracts.events.payment import PaymentFailed, PaymentSettled, PaymentSucceeded, PaymentUpdated
from contracts.events.stripe import StripeEvent
from services.chassis.ids import new_id
from services.payment import consumers
from services.payment.payments import sweep
from tests.builders.callers import a_caller
from tests.builders.events import deliver, outbox_events, waiting_parked
from tests.builders.values import eur
from tests.running.payment import PaymentService


async def a_confirmed_payment(
    payments: PaymentService, method: str = "pm_card_visa", **how: Any
) -> tuple[UUID, Any]:
    """(invoice, answer of the start) of a payment of 125 EUR that succeeded, and whose event is not consumed."""
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)), **how)
    assert started.status_code == 201, started.text
    await payments.confirm(started, method)
    return invoice, started


def the(payments: PaymentService, event_type: str) -> StripeEvent:
    return next(event for event in payments.hook.events() if event.event_type == event_type)


async def test_a_decline_is_told_in_plain_words_and_the_same_payment_may_be_tried_again(
    payments: PaymentService,
) -> None:
    _, started = await a_confirmed_payment(payments, "pm_card_chargeDeclinedInsufficientFunds")
    await payments.hook.until("payment_intent.payment_failed")
    await payments.consume()

    failed = await payments.payment(started.json()["payment_id"])
    assert failed["status"] == "failed"
    assert failed["failure"] == {
        "code": "insufficient_funds",
        "message": "There is not enough money on this card.",
    }
    assert [type(event) for event in await outbox_events(payments.db)] == [PaymentFailed]

    await payments.confirm(started, "pm_card_visa")
    await payments.hook.until("payment_intent.succeeded")
    await payments.consume()

    paid = await payments.payment(started.json()["payment_id"])
    assert (paid["status"], paid["failure"], paid["method"]["last4"]) == ("succeeded", None, "4242")
    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]


async def failed_attempts(payments: PaymentService) -> list[tuple[str, str, str]]:
    """(code, brand, observed by) of each, oldest first."""
    rows = await payments.db.admin.fetch(
        "SELECT code, method_brand, observed_by FROM failed_attempts ORDER BY failed_at, code DESC"
    )
    return [tuple(row) for row in rows]


async def test_each_declined_attempt_is_kept_once(payments: PaymentService) -> None:
    """A payment's row keeps the newest alone, and nothing of them once it is paid."""
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    for number, card in enumerate(("pm_card_chargeDeclinedInsufficientFunds", "pm_card_chargeDeclined"), 1):
        await payments.confirm(started, card)
        await payments.hook.until("payment_intent.payment_failed", number)
    await payments.confirm(started, "pm_card_visa")
    await payments.hook.until("payment_intent.succeeded")

    # The success is the first that is known, then all else, twice.
    await payments.consume(the(payments, "payment_intent.succeeded"))
    await payments.consume()
    await payments.consume()

    told = {event.charge: event.stripe_event_id for event in payments.hook.events() if event.charge}
    assert len(told) == 2
    assert sorted(await failed_attempts(payments)) == sorted(
        (code, "visa", event_id)
        for code, event_id in zip(("insufficient_funds", "generic_decline"), told.values(), strict=True)
    )


async def test_a_decline_of_which_no_webhook_came_is_kept_as_swept_and_once(payments: PaymentService) -> None:
    await a_confirmed_payment(payments, "pm_card_chargeDeclinedInsufficientFunds")
    await payments.hook.until("payment_intent.payment_failed")

    await sweep.sweep_payments(payments.worker, payments.stripe, timedelta())
    await payments.consume()

    assert await failed_attempts(payments) == [("insufficient_funds", "visa", "sweep")]


async def test_a_bank_that_asks_the_client_is_waited_for(payments: PaymentService) -> None:
    _, started = await a_confirmed_payment(payments, "pm_card_threeDSecure2Required")
    await payments.hook.until("payment_intent.requires_action")
    await payments.consume()
    assert (await payments.payment(started.json()["payment_id"]))["status"] == "requires_action"
    assert await outbox_events(payments.db) == []


async def test_a_webhook_may_be_faster_than_the_answer_to_the_call(payments: PaymentService) -> None:
    await a_confirmed_payment(payments)
    await payments.hook.until("payment_intent.succeeded")
    await payments.db.admin.execute("UPDATE payments SET stripe_payment_intent_id = NULL")

    await payments.consume()

    kept = await payments.db.admin.fetchrow("SELECT status, stripe_payment_intent_id FROM payments")
    assert kept is not None
    assert kept["status"] == "succeeded"
    assert kept["stripe_payment_intent_id"].startswith("pi_")


async def test_a_success_that_comes_before_its_charge_is_told_as_by_card(payments: PaymentService) -> None:
    _, started = await a_confirmed_payment(payments)
    await payments.hook.until("charge.succeeded")
    await payments.hook.until("payment_intent.succeeded")

    await payments.consume(the(payments, "payment_intent.succeeded"))
    settled = (await outbox_events(payments.db))[0]
    assert isinstance(settled, PaymentSettled)
    assert settled.method == Method(kind="card")

    charge = the(payments, "charge.succeeded")
    await payments.consume(charge)
    await payments.consume(charge, the(payments, "payment_intent.succeeded"))
    after = await payments.payment(started.json()["payment_id"])
    assert after["method"]["last4"] == "4242"
    *before, updated = await outbox_events(payments.db)
    assert [event.topic.name for event in before] == ["payment.settled", "payment.succeeded"]
    assert isinstance(updated, PaymentUpdated)
    assert updated.method == Method(kind="card", brand="visa", last4="4242")
    assert (updated.payment_id, updated.invoices) == (settled.payment_id, (settled.invoice_id,))
    assert updated.traceparent == charge.traceparent
    assert isinstance(before[1], PaymentSucceeded)
    assert after["version"] == before[1].version


async def test_a_declined_card_is_not_what_a_payment_was_made_with(payments: PaymentService) -> None:
    """All events of two attempts are in one batch, as after a pause of the worker, and of the same second."""
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    await payments.confirm(started, "pm_card_chargeDeclined")
    await payments.confirm(started, "pm_card_mastercard")
    for awaited in ("payment_intent.payment_failed", "charge.succeeded", "payment_intent.succeeded"):
        await payments.hook.until(awaited)

    heard = payments.hook.events()
    at = max(event.created for event in heard)
    await payments.consume(*(event.model_copy(update={"created": at}) for event in heard))

    methods = [
        event.method for event in await outbox_events(payments.db) if isinstance(event, PaymentSettled)
    ]
    assert [method.brand for method in methods if method] == ["mastercard"]


async def test_what_came_above_what_is_open_becomes_credit(payments: PaymentService) -> None:
    invoice, started = await a_confirmed_payment(payments)
    await payments.hook.until("payment_intent.succeeded")
    await deliver(payments.worker, consumers, payments.invoice(invoice, eur(100), 2, InvoiceUpdated))

    await payments.consume()

    assert await payments.books() == [("client_credit", -2500), ("receivable", -10000), ("stripe", 12500)]
    credit = await payments.api.call("GET", "/credit", payments.client)
    assert credit.json() == [{"minor": 2500, "currency": "EUR"}]
    paid = await payments.payment(started.json()["payment_id"])
    assert paid["surplus"] == {"minor": 2500, "currency": "EUR"}
    settled, succeeded = await outbox_events(payments.db)
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
    payments: PaymentService, changes: dict[str, Any], reason: str
) -> None:
    _, forged_of = await a_confirmed_payment(payments)
    await payments.hook.until("payment_intent.succeeded")
    forged = the(payments, "payment_intent.succeeded").model_copy(update=changes | {"id": new_id()})
    payments.hook.bodies.clear()
    _, good = await a_confirmed_payment(payments)
    await payments.hook.until("payment_intent.succeeded")

    await payments.consume(forged, *payments.hook.events())

    assert await waiting_parked(payments.db) == [("stripe.event", reason)]
    assert (await payments.payment(forged_of.json()["payment_id"]))["status"] == "created"
    assert (await payments.payment(good.json()["payment_id"]))["status"] == "succeeded"


async def test_an_event_of_somebody_elses_charge_on_the_account_is_none_of_ours(
    payments: PaymentService,
) -> None:
    await a_confirmed_payment(payments)
    await payments.hook.until("payment_intent.succeeded")
    strange = {
        "id": new_id(),
        "payment_id": None,
        "clinic": None,
        "payment_intent": "pi_x",
        "object_id": "pi_x",
    }

    await payments.consume(the(payments, "payment_intent.succeeded").model_copy(update=strange))

    assert await waiting_parked(payments.db) == []
    assert await payments.books() == []


async def test_two_workers_with_the_same_batch_book_once(payments: PaymentService) -> None:
    await a_confirmed_payment(payments)
    await payments.hook.until("payment_intent.succeeded")
    events = payments.hook.events()
    again = [event.model_copy(update={"id": new_id()}) for event in events]

    await asyncio.gather(
        payments.consume(*events), payments.consume(*again), payments.consume(*reversed(events))
    )

    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]
    assert len(await outbox_events(payments.db)) == 2


async def statements(payments: PaymentService, events: list[StripeEvent]) -> int:
    """The number of statements that a batch needs."""
    asked: list[str] = []
    async with payments.worker.worker_tx() as tx:
        tx.add_query_logger(lambda logged: asked.append(logged.query))
        await consumers.apply_stripe_events(tx, events)
    return len(asked)


async def test_a_batch_takes_as_many_statements_as_a_single_event(payments: PaymentService) -> None:
    for _ in range(6):
        await a_confirmed_payment(payments)
    await payments.hook.until("payment_intent.succeeded", 6)
    events = [event for event in payments.hook.events() if event.event_type == "payment_intent.succeeded"]

    await statements(payments, events[:1])  # a connection's first use looks types up
    one, four = await statements(payments, events[1:2]), await statements(payments, events[2:])

    assert one == four <= 12
    assert await payments.books() == [("receivable", -75000), ("stripe", 75000)]


async def test_without_any_webhook_the_sweeper_books_it_and_late_webhooks_change_nothing(
    payments: PaymentService,
) -> None:
    _, started = await a_confirmed_payment(payments)
    await payments.hook.until("payment_intent.succeeded")

    await sweep.sweep_payments(payments.worker, payments.stripe)
    assert (await payments.payment(started.json()["payment_id"]))[
        "status"
    ] == "created"  # too young to be swept
    await payments.age(timedelta(minutes=5))
    await sweep.sweep_payments(payments.worker, payments.stripe)

    paid = await payments.payment(started.json()["payment_id"])
    assert (paid["status"], paid["method"]["last4"]) == ("succeeded", "4242")
    published = await outbox_events(payments.db)
    await payments.consume()
    assert await outbox_events(payments.db) == published
    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]


DECLINED, CHALLENGED = "pm_card_chargeDeclined", "pm_card_threeDSecure2Required"


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("attempts", [(DECLINED, CHALLENGED), (CHALLENGED, DECLINED)])
async def test_of_two_states_of_one_second_the_sweeper_asks_stripe_at_once(
    payments: PaymentService, attempts: tuple[str, str], is_reversed: bool
) -> None:
    _, started = await a_confirmed_payment(payments, attempts[0])
    await payments.confirm(started, attempts[1])
    for awaited in ("payment_intent.payment_failed", "payment_intent.requires_action"):
        await payments.hook.until(awaited)
    one, other = (event for event in payments.hook.events() if event.event_type.startswith("payment_intent."))
    at = one.created - timedelta(seconds=5)

    async def hear() -> str:
        for event in (other, one) if is_reversed else (one, other):
            copies = [event.model_copy(update={"created": at, "id": new_id()}) for _ in range(2)]
            await payments.consume(*copies)
        await sweep.sweep_payments(payments.worker, payments.stripe)
        status: str = (await payments.payment(started.json()["payment_id"]))["status"]
        return status

    newest = "failed" if attempts[1] == DECLINED else "requires_action"
    assert await hear() == newest
    assert await hear() == newest


async def test_the_sweeper_notes_a_decline_once(payments: PaymentService) -> None:
    await a_confirmed_payment(payments, "pm_card_chargeDeclined")
    for _ in range(3):
        await payments.age(timedelta(minutes=5))
        await sweep.sweep_payments(payments.worker, payments.stripe)
    assert [type(event) for event in await outbox_events(payments.db)] == [PaymentFailed]


async def test_a_payment_that_nobody_finishes_is_canceled_after_a_day(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    await payments.age(timedelta(hours=25))

    await sweep.sweep_payments(payments.worker, payments.stripe)

    assert [intent["status"] for intent in await payments.intents()] == ["canceled"]
    assert (await payments.payment(started.json()["payment_id"]))["status"] == "canceled"
    assert (await payments.start((invoice, eur(125)))).status_code == 201


async def test_a_payment_that_never_reached_stripe_is_given_up(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    fault = {"kind": "500_before", "method": "POST", "path": "/v1/payment_intents", "count": 3}
    await payments.sandbox.control("POST", "/faults/api", fault)
    assert (await payments.start((invoice, eur(125)))).status_code == 503
    await payments.age(timedelta(minutes=11))

    await sweep.sweep_payments(payments.worker, payments.stripe)

    assert await payments.intents() == []
    assert await payments.db.admin.fetchval("SELECT status FROM payments") == "canceled"
    assert await payments.db.admin.fetchval("SELECT state FROM allocations") == "released"


async def test_an_intent_whose_answer_was_lost_is_found_by_its_metadata(payments: PaymentService) -> None:
    await a_confirmed_payment(payments)
    await payments.db.admin.execute("UPDATE payments SET stripe_payment_intent_id = NULL")
    for _ in range(2):
        await payments.age(timedelta(minutes=11))
        await sweep.sweep_payments(payments.worker, payments.stripe)
    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]


async def test_one_payment_that_cannot_be_asked_about_keeps_no_other_from_it(
    payments: PaymentService,
) -> None:
    await a_confirmed_payment(payments)
    await a_confirmed_payment(payments)
    await payments.age(timedelta(minutes=5))
    await payments.sandbox.control("POST", "/faults/api", {"kind": "429", "method": "GET", "count": 4})

    await sweep.sweep_payments(payments.worker, payments.stripe)

    statuses = await payments.db.admin.fetch("SELECT status FROM payments ORDER BY status")
    assert "succeeded" in [row["status"] for row in statuses]


async def test_a_clinic_with_its_own_account_is_charged_there(payments: PaymentService) -> None:
    payments.account = "acct_oak"
    await payments.sandbox.control("PUT", "/accounts/acct_oak", {})
    operator = a_caller("operator", payments.clinic_id)
    put = await payments.api.call("PUT", "/account", operator, json={"stripe_account_id": "acct_oak"})
    assert put.json()["stripe_account_id"] == "acct_oak"
    elsewhere = await payments.api.call(
        "PUT", "/account", a_caller("operator", new_id()), json={"stripe_account_id": "acct_oak"}
    )
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "stripe_account_in_use")

    _, started = await a_confirmed_payment(payments)
    assert started.json()["stripe_account"] == "acct_oak"
    await payments.hook.until("payment_intent.succeeded")
    await payments.consume()

    assert the(payments, "payment_intent.succeeded").account == "acct_oak"
    assert {request.account for request in payments.sandbox.requests("/v1/payment_intents")} == {"acct_oak"}
    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]


async def test_the_books_cannot_be_changed_and_must_balance(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.pay((invoice, eur(125)))
    for role in (payments.worker.worker_tx, lambda: payments.db.api.tx(payments.clinic_id)):
        for statement in ("UPDATE postings SET amount = 1", "DELETE FROM postings", "DELETE FROM entries"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with role() as tx:
                    await tx.execute(statement)
    with pytest.raises(asyncpg.CheckViolationError, match="does not balance"):
        async with payments.worker.worker_tx() as tx:
            await tx.execute(
                """
                INSERT INTO postings (clinic_id, entry_id, position, account, amount, currency)
                SELECT clinic_id, id, 99, 'stripe', 1, 'EUR' FROM entries
                """
            )


async def test_the_api_role_sees_one_clinic_and_books_nothing_of_stripes(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.pay((invoice, eur(125)))
    tables = ("clinics", "payables", "payments", "allocations", "entries", "postings", "movements")
    for clinic_id, rows in ((payments.clinic_id, True), (new_id(), False), (None, False)):
        async with payments.db.api.tx(clinic_id) as tx:
            for table in tables:
                assert (await tx.fetchval(f"SELECT count(*) FROM {table}") > 0) is rows, table
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with payments.db.api.tx(payments.clinic_id) as tx:
            await tx.execute("UPDATE payables SET due_amount = 0")
    for booking in (
        "INSERT INTO entries SELECT clinic_id, id, payment_id, 'pi_2', effect, booked_at FROM entries",
        "INSERT INTO postings SELECT clinic_id, entry_id, 99, account, NULL, NULL, 1, currency FROM postings "
        "WHERE account = 'stripe'",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with payments.db.api.tx(payments.clinic_id) as tx:
                await tx.execute(booking)


async def test_a_payment_cannot_point_at_another_clinics_invoice(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await payments.db.admin.execute(
            """
            INSERT INTO movements (clinic_id, id, payment_id, payable_id, kind, amount, currency, booked_at)
            VALUES ($1, $2, $2, $3, 'payment', 1, 'EUR', $4)
            """,
            new_id(),
            new_id(),
            invoice,
            datetime.now(UTC),
        )
