"""A client who is erased at invoice is erased in the other services and at Stripe; money stays as it is."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.events.client import ClientErased
from services.chassis.ids import new_id
from services.chassis.queue.working import Worker
from services.invoice.erasures import actions as erasures
from services.invoice.erasures import reemit, store
from services.notification import consumers as notification
from services.payment import consumers as payment
from services.payment.erasures.sweep import erasing
from services.payment.stripe.params import call_options
from tests.builders.events import deliver, outbox_events
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.disputes import charge_of, dispute, end, rows
from tests.running.invoice import InvoiceService, an_invoice_service
from tests.running.notification import put_contact
from tests.running.payment import PaymentService
from tests.running.refunds import refund_payment
from tests.service.test_payment_methods import a_saved_card, saved_methods
from tests.service.test_payment_refunds_paid import check_books
from tests.service.test_stripe_answers import ANSWERS
from tests.service.test_stripe_gone import charged_on, revoke

ERASED_HERE = {"stripe_customer_id": None, "default_method_id": None}


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


def erasure(payments: PaymentService, at: datetime | None = None) -> ClientErased:
    at = at or datetime.now(UTC) + timedelta(seconds=1)
    return ClientErased(id=new_id(), time=at, clinic_id=payments.clinic_id, client_id=payments.client_id)


async def erase(payments: PaymentService, event: ClientErased) -> str:
    """Consume the event and work on what is due; answers the task's state and reason."""
    await deliver(payments.worker, payment, event)
    await payments.db.admin.execute(
        "UPDATE tasks SET due_at = now(), claimed_until = NULL WHERE state = 'due'"
    )
    await Worker(payments.worker, [erasing(payments.worker, payments.stripe)]).work_due()
    row = await payments.db.admin.fetchrow(
        "SELECT state, reason FROM tasks WHERE kind = 'erase_client' AND key = $1", event.id
    )
    assert row is not None
    return " ".join(filter(None, row))


async def held(payments: PaymentService) -> list[dict[str, Any]]:
    rows = await payments.db.admin.fetch("SELECT * FROM payment_methods")
    return [dict(row) for row in rows]


async def on_accounts(payments: PaymentService) -> dict[str, bool]:
    """Whether the client's id at Stripe is kept, by account."""
    rows = await payments.db.admin.fetch("SELECT account, stripe_customer_id FROM customers")
    return {row["account"]: row["stripe_customer_id"] is not None for row in rows}


async def customers(payments: PaymentService) -> list[str]:
    """The ids of customers that Stripe has."""
    found = await payments.stripe.sdk.v1.customers.list_async()
    return [each.id for each in found.data]


async def test_the_event_is_published_with_the_erasure_and_has_one_id(world: InvoiceService) -> None:
    await world.db.admin.execute("UPDATE clients SET erase_after = current_date")
    await world.db.admin.execute("DELETE FROM outbox")

    await erasures.erase_due(world.db.worker)

    [event] = await outbox_events(world.db)
    assert isinstance(event, ClientErased)
    assert (event.clinic_id, event.client_id) == (world.clinic_id, world.client_id)
    rows = await world.db.admin.fetch(reemit.SOURCE.sql, datetime(1970, 1, 1, tzinfo=UTC))
    assert [each for row in rows for each in reemit.SOURCE.events_of(row)] == [event]
    assert "Ada" not in event.encode().decode()


async def test_an_erasure_after_a_restore_is_published_too(world: InvoiceService) -> None:
    await world.db.admin.execute("UPDATE clients SET erase_after = current_date")
    async with world.db.worker.worker_tx() as tx:
        first = await store.erase_due_clients(tx, 10)
    await world.db.admin.execute("UPDATE clients SET erased_at = NULL, name = 'Ada Nolan'")
    await world.db.admin.execute("DELETE FROM erasures")
    await world.db.admin.execute("DELETE FROM outbox")

    async with world.db.worker.worker_tx() as tx:
        await erasures.replay_erasures(tx, first)
        await erasures.replay_erasures(tx, first)

    [event] = await outbox_events(world.db)
    assert isinstance(event, ClientErased) and event.time == first[0].erased_at


async def test_cards_and_customer_go_here_and_at_stripe_and_no_money_row_changes(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(10))
    await payments.pay((invoice, eur(10)), save=True)
    await payments.hook.until("payment_method.attached")
    await payments.consume()
    assert await saved_methods(payments)
    assert len(await customers(payments)) == 1
    await payments.db.admin.execute(
        """
        INSERT INTO recorded_payments
            (clinic_id, payment_id, location, reference, recorded_by, on_behalf_of, reversed_at, reversal_reason)
        SELECT clinic_id, id, '', 'Cheque of Ada Nolan', '', '', now(), 'Ada Nolan asked' FROM payments
        """
    )
    money = " UNION ALL ".join(
        f"SELECT to_jsonb(t) FROM {name} AS t" for name in ("payments", "postings", "movements")
    )
    before = await payments.db.admin.fetch(money)

    assert await erase(payments, erasure(payments)) == "done"

    assert await payments.db.admin.fetch(money) == before
    [written] = await payments.db.admin.fetch("SELECT reference, reversal_reason FROM recorded_payments")
    assert dict(written) == {"reference": "", "reversal_reason": "…"}
    assert await customers(payments) == []
    assert await saved_methods(payments) == []
    [method] = await held(payments)
    blank = ("brand", "last4", "exp_month", "exp_year", "fingerprint")
    assert [method[name] for name in blank] == [None] * 5
    assert method["stripe_payment_method_id"] == f"erased-{method['id']}" and method["removed_at"]
    customer = await payments.db.admin.fetchrow("SELECT stripe_customer_id, default_method_id FROM customers")
    assert customer is not None and dict(customer) == ERASED_HERE
    # Stripe's own news of the deletion, and a late event about the card, bring nothing back.
    await payments.consume()
    assert await held(payments) == [method]


async def test_what_is_open_at_the_bank_goes_on_after_the_erasure(payments: PaymentService) -> None:
    """A refund that was sent, one that is asked for only now, and a dispute that is lost: every book agrees."""
    first, second, third = [await payments.open_invoice(eur(10)) for _ in range(3)]
    paid = [
        await payments.pay((first, eur(10)), save=True),
        await payments.pay((second, eur(10))),
        await payments.pay((third, eur(10))),
    ]
    await payments.hook.until("payment_method.attached")
    sent = await refund_payment(payments, paid[0], amount=400)
    opened = await dispute(payments, await charge_of(payments, paid[1]))
    await payments.consume()

    assert await erase(payments, erasure(payments)) == "done"

    late = await refund_payment(payments, paid[2], amount=300)
    assert (sent.status_code, late.status_code) == (201, 201), late.text
    await payments.hook.until("refund.created", 2)
    await end(payments, opened["id"], "lost")
    await payments.consume()
    states = await payments.db.admin.fetch("SELECT status, amount FROM refunds ORDER BY amount")
    assert [tuple(row) for row in states] == [("succeeded", 300), ("succeeded", 400)]
    assert [row["status"] for row in await rows(payments)] == ["lost"]
    await check_books(payments)
    assert await customers(payments) == [] == await saved_methods(payments)


async def test_an_event_that_comes_again_does_nothing(payments: PaymentService) -> None:
    await a_saved_card(payments)
    event = erasure(payments)
    await erase(payments, event)
    calls = len(payments.sandbox.requests())

    assert await erase(payments, event) == "done"
    assert len(payments.sandbox.requests()) == calls


async def test_a_customer_that_stripe_has_no_more_is_erased_here(payments: PaymentService) -> None:
    await a_saved_card(payments)
    [name] = await customers(payments)
    await payments.stripe.sdk.v1.customers.delete_async(name)

    assert await erase(payments, erasure(payments)) == "done"
    assert [method["last4"] for method in await held(payments)] == [None]


@pytest.mark.parametrize("fault", ANSWERS)
async def test_whatever_stripe_answers_the_id_is_kept_until_the_customer_is_gone(
    payments: PaymentService, fault: str
) -> None:
    await a_saved_card(payments)
    wanted = {"kind": fault, "path": "/v1/customers/*", "count": 9}
    await payments.sandbox.control("POST", "/faults/api", wanted)
    event = erasure(payments)

    told = await erase(payments, event)
    assert [method["last4"] for method in await held(payments)] == [None], "what is ours waits for nobody"
    if told != "done":
        assert told.startswith("due ")
        assert await payments.db.admin.fetchval("SELECT stripe_customer_id FROM customers") is not None
        assert await saved_methods(payments) == [], "nobody may charge it while Stripe is asked"
        await payments.sandbox.control("DELETE", "/faults")
        assert await erase(payments, event) == "done"
        assert await customers(payments) == []
    assert [method["last4"] for method in await held(payments)] == [None]
    assert await payments.db.admin.fetchval("SELECT stripe_customer_id FROM customers") is None


async def test_a_deletion_whose_answer_was_lost_is_done(payments: PaymentService) -> None:
    await a_saved_card(payments)
    await payments.sandbox.control(
        "POST", "/faults/api", {"kind": "500_after", "path": "/v1/customers/*", "count": 9}
    )
    event = erasure(payments)
    await erase(payments, event)
    await payments.sandbox.control("DELETE", "/faults")

    assert await erase(payments, event) == "done"
    assert await customers(payments) == []


async def test_a_payment_that_has_not_ended_keeps_its_customer_until_it_has(payments: PaymentService) -> None:
    await a_saved_card(payments)
    invoice = await payments.open_invoice(eur(10))
    started = await payments.start((invoice, eur(10)))
    event = erasure(payments)

    assert await erase(payments, event) == "due payment_not_ended"
    assert len(await customers(payments)) == 1

    await payments.confirm(started)
    await payments.hook.until("payment_intent.succeeded", 2)
    await payments.consume()
    assert await erase(payments, event) == "done"
    assert await customers(payments) == []


async def test_an_account_out_of_reach_holds_up_no_other(payments: PaymentService) -> None:
    """A clinic that has changed its account has often closed the door of the first."""
    await payments.update_clinic(2)
    for account in ("acct_1first", "acct_2second"):
        await charged_on(payments, account)
        await a_saved_card(payments)
    await revoke(payments, "acct_1first")

    assert await erase(payments, erasure(payments)) == "due stripe_misconfigured"

    assert await on_accounts(payments) == {"acct_1first": True, "acct_2second": False}
    at_stripe = await payments.stripe.sdk.v1.customers.list_async(None, call_options("acct_2second"))
    assert at_stripe.data == []
    assert [method["last4"] for method in await held(payments)] == [None, None]


async def test_who_became_a_client_again_keeps_what_is_new(payments: PaymentService) -> None:
    card = await a_saved_card(payments)

    assert await erase(payments, erasure(payments, datetime.now(UTC) - timedelta(days=1))) == "done"
    assert await saved_methods(payments) == [card] and len(await customers(payments)) == 1


async def test_and_keeps_nothing_that_is_older(payments: PaymentService) -> None:
    await a_saved_card(payments)
    await payments.db.admin.execute("UPDATE payment_methods SET created_at = created_at - interval '1 hour'")
    [older] = await held(payments)
    gone_at = older["created_at"] + timedelta(minutes=1)
    await payments.db.admin.execute("UPDATE payments SET created_at = created_at - interval '1 hour'")
    new = await a_saved_card(payments, "pm_card_mastercard")

    assert await erase(payments, erasure(payments, gone_at)) == "done"

    assert [card["last4"] for card in await saved_methods(payments)] == [new["last4"]] == ["4444"]
    assert len(await customers(payments)) == 1
    kept = await payments.stripe.list_methods("", (await customers(payments))[0])
    assert older["stripe_payment_method_id"] not in kept and len(kept) == 1
    [blank] = [method for method in await held(payments) if method["id"] == older["id"]]
    assert blank["last4"] is None and blank["stripe_payment_method_id"] == f"erased-{older['id']}"


async def test_the_contact_goes_and_a_newer_one_stays(db_notification: ServiceDb) -> None:
    clinic, gone, newer = new_id(), new_id(), new_id()
    for client in (gone, newer):
        await put_contact(db_notification, clinic, client)
        await db_notification.admin.execute(
            "INSERT INTO unwanted_mail (clinic_id, client_id, template) VALUES ($1, $2, 'reminder')",
            clinic,
            client,
        )
    now = datetime.now(UTC)
    events = [
        ClientErased(id=new_id(), time=at, clinic_id=clinic, client_id=client)
        for client, at in ((gone, now + timedelta(seconds=1)), (newer, now - timedelta(days=1)))
    ]

    await deliver(db_notification.worker, notification, *events)

    for table in ("contacts", "unwanted_mail"):
        left = await db_notification.admin.fetch(f"SELECT client_id FROM {table}")
        assert [row["client_id"] for row in left] == [newer], table
