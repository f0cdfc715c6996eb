"""`clinicpay reemit` publishes the events that a topic lost again, unchanged, and nothing happens twice."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.events.clinic import ClinicUpdated
from contracts.events.envelope import CloudEvent
from contracts.events.invoice import (
    InvoiceCreated,
    InvoiceCredited,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceUpdated,
    InvoiceVoided,
)
from contracts.events.notification import NotificationFailed, NotificationSent
from contracts.events.payment import (
    PaymentFailed,
    PaymentRefunded,
    PaymentSettled,
    PaymentSucceeded,
    PaymentUpdated,
)
from deploy.ops.reemit import reemit
from deploy.ops.verify.run import verify
from services.chassis.queue.domain import Failed
from services.invoice.invoices.actions import announce_overdue
from services.notification.emails import actions
from services.notification.emails.domain import Outcome, Sent
from tests.builders.events import CONSUMERS, outbox_events
from tests.builders.values import money
from tests.running.commands import command
from tests.running.installation import Installation
from tests.running.notification import make_due

EVER = datetime(1970, 1, 1, tzinfo=UTC)


async def say_again(installation: Installation, since: datetime = EVER) -> list[CloudEvent]:
    """Re-emit; returns the events in the outboxes."""
    for service in CONSUMERS:
        await reemit(
            installation.access.databases[service], installation.dbs[service].worker_dsn, service, since
        )
    return [event for service in CONSUMERS for event in await outbox_events(installation.dbs[service])]


async def mails(installation: Installation) -> list[Any]:
    rows = await installation.dbs["notification"].admin.fetch(
        "SELECT * FROM deliveries ORDER BY clinic_id, id"
    )
    return [dict(row) for row in rows]


async def test_what_is_said_again_is_word_for_word_what_was_said(installation: Installation) -> None:
    await _mail(installation)
    await installation.world.issue(2_000, issued_on="2026-01-01", due_on="2026-01-02")
    await announce_overdue(installation.dbs["invoice"].worker)
    credited = await installation.open_invoice(3_000)
    await installation.correct(credited, "credit-notes", amount={"minor": 1_000, "currency": "EUR"})
    await installation.correct(credited, "write-off")
    await installation.pump()

    again = await say_again(installation)

    assert {type(event) for event in again} == {
        *(ClinicUpdated, InvoiceCreated, InvoiceUpdated, InvoicePaid, InvoiceCredited, InvoiceVoided),
        *(InvoiceOverdue, NotificationSent, NotificationFailed),
        *(PaymentSucceeded, PaymentFailed, PaymentSettled, PaymentRefunded),
    }
    for event in again:
        original = installation.published[event.id]
        assert event == original.model_copy(update={"traceparent": None})
    movements = {event.id for event in installation.published.values() if isinstance(event, PaymentSettled)}
    assert movements <= {event.id for event in again}


async def test_saying_again_what_everybody_knows_changes_nothing(installation: Installation) -> None:
    before = await mails(installation)
    await say_again(installation)

    await installation.pump()

    assert await mails(installation) == before
    report = await verify(installation.access, wait=0)
    assert not report.breaches, str(report)


async def test_what_was_lost_before_anybody_read_it_is_made_good(installation: Installation) -> None:
    """An `invoice.created`, a payment and its movement are lost; then each has its effect once."""
    issued = await installation.world.issue(900)
    await installation.pump(lose=True)
    paid = await installation.open_invoice(1_100)
    await installation.payments.pay((paid, money(1_100)))
    await installation.pump(lose=True)
    broken = (await verify(installation.access, wait=0)).broken
    assert {"payables_are_invoices", "movements_agree", "one_receipt_per_payment"} <= broken, issued

    await say_again(installation)
    await installation.pump()

    report = await verify(installation.access, wait=0)
    assert not report.breaches, str(report)


async def test_how_it_was_paid_is_said_again_where_it_was_known_late(installation: Installation) -> None:
    """Only `payment.updated` is lost: no other event has the method, and every movement is there."""
    payments = installation.payments
    invoice = await installation.open_invoice(1_300)
    started = await payments.start((invoice, money(1_300)))
    already = payments.hook.count("payment_intent.succeeded")
    await payments.confirm(started)
    await payments.hook.until("payment_intent.succeeded", already + 1)
    await payments.hook.until("charge.succeeded", already + 1)
    intent = started.json()["client_secret"].partition("_secret_")[0]
    webhooks = [event for event in payments.hook.events() if event.payment_intent == intent]
    for event_type in ("payment_intent.succeeded", "charge.succeeded"):
        await payments.consume(*(event for event in webhooks if event.event_type == event_type))
        await installation.pump(lose=event_type == "charge.succeeded")
    assert (await verify(installation.access, wait=0)).broken == {"movements_agree"}
    (lost,) = [event for event in installation.published.values() if isinstance(event, PaymentUpdated)]

    again = await say_again(installation)
    await installation.pump()

    updates = [event for event in again if isinstance(event, PaymentUpdated)]
    assert updates == [lost.model_copy(update={"traceparent": None})]
    assert (await installation.world.get(f"/invoices/{invoice}"))["paid_with"]["last4"] == "4242"
    report = await verify(installation.access, wait=0)
    assert not report.breaches, str(report)


async def test_only_what_changed_since_a_moment(installation: Installation) -> None:
    assert await say_again(installation, datetime.now(UTC) + timedelta(hours=1)) == []


async def _mail(installation: Installation) -> None:
    """Finish two e-mails: one is sent, one fails for good."""
    db = installation.dbs["notification"]
    await make_due(db)
    async with db.worker.worker_tx() as tx:
        claims = (await actions.claim_emails(tx, 20, timedelta(minutes=1)))[:2]
    outcomes: tuple[Outcome, ...] = (Sent("<1@example.com>"), Failed("550"))
    for claim, outcome in zip(claims, outcomes, strict=True):
        async with db.worker.worker_tx() as tx:
            await actions.record_outcome(tx, claim.delivery, outcome)


async def test_a_service_out_of_reach_is_named_and_the_others_are_done(installation: Installation) -> None:
    workers = {service: installation.dbs[service].worker_dsn for service in ("payment", "notification")}
    away = "postgresql://invoice_worker:x@127.0.0.1:9/clinicpay_invoice"
    environment = {
        "AUDITOR_DATABASE_URLS": _urls(installation.access.databases),
        "WORKER_DATABASE_URLS": _urls({"invoice": away, **workers}),
    }

    done = await command("reemit", **environment)

    assert done.exit_code == 1
    assert "no database answers for invoice" in done.output
    assert "payment: " in done.output
    assert await outbox_events(installation.dbs["payment"])


def _urls(databases: Mapping[str, str]) -> str:
    return ",".join(f"{service}={dsn}" for service, dsn in databases.items())
