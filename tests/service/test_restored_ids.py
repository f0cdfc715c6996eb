"""A payment database that was restored from a backup books again what it had booked: under the same ids, once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.events.envelope import CloudEvent
from contracts.events.payment import PaymentFailed, PaymentRefunded, PaymentSettled, PaymentSucceeded
from deploy.ops import database
from deploy.ops.reemit import reemit
from deploy.ops.verify.run import verify
from services.payment.payments import sweep
from services.payment.refunds.sweep import sweep_refunds
from tests.builders.events import outbox_events
from tests.builders.values import money
from tests.running.installation import Installation, close_connections, name_in

AT_ONCE = timedelta(0)
EVER = datetime(1970, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def a_backup(installation: Installation) -> AsyncIterator[Callable[[], Any]]:
    """A backup of the payment database as it is now, and what puts it in the database's place."""
    dsn = installation.dbs["payment"].admin_dsn
    original, server = name_in(dsn), database.with_database(dsn, "postgres")
    kept = f"{original}_kept"

    async def restore() -> None:
        await close_connections(server, original)
        await database.drop(server, original)
        await database.clone(server, "payment", original, kept)

    await close_connections(server, original)
    await database.clone(server, "payment", kept, original)
    try:
        yield restore
    finally:
        await database.drop(server, kept)


async def ids_in_the_books(installation: Installation) -> set[Any]:
    rows = await installation.dbs["payment"].admin.fetch(
        "SELECT 'entry', id FROM entries UNION ALL SELECT 'movement', id FROM movements"
    )
    return {tuple(row) for row in rows}


async def published(installation: Installation) -> set[tuple[str, UUID]]:
    """Topic and id of what payment has published since, which is carried to all who listen."""
    events: list[CloudEvent] = await outbox_events(installation.dbs["payment"])
    await installation.pump()
    return {(event.topic.name, event.id) for event in events}


async def count_mails(installation: Installation, template: str) -> int:
    count: int = await installation.dbs["notification"].admin.fetchval(
        "SELECT count(*) FROM deliveries WHERE template = $1", template
    )
    return count


async def as_the_runbook_says(installation: Installation) -> None:
    """After a restore, what the database missed of the invoices is published again."""
    await reemit(
        installation.access.databases["invoice"], installation.dbs["invoice"].worker_dsn, "invoice", EVER
    )
    await installation.pump()


async def by_webhook(installation: Installation) -> None:
    await installation.payments.consume()


async def by_success_alone(installation: Installation) -> None:
    """Without its charge's event, and not with the batch that it came in."""
    news = [
        event
        for event in installation.payments.hook.events()
        if event.event_type == "payment_intent.succeeded"
    ]
    await installation.payments.consume(news[-1])


async def by_event_queued_before(installation: Installation) -> None:
    """In the form that the edge of an earlier release gave it."""
    news = [
        event
        for event in installation.payments.hook.events()
        if event.event_type == "payment_intent.succeeded"
    ]
    await installation.payments.consume(news[-1].model_copy(update={"attempt": None}))


async def by_sweeper(installation: Installation) -> None:
    await sweep.sweep_payments(installation.payments.worker, installation.payments.stripe, AT_ONCE)


WAYS = [by_webhook, by_success_alone, by_event_queued_before, by_sweeper]


@pytest.mark.parametrize("again", WAYS)
@pytest.mark.parametrize("first", [by_webhook, by_sweeper])
async def test_a_payment_that_is_booked_again_after_a_restore_is_booked_once(
    installation: Installation, first: Callable[[Installation], Any], again: Callable[[Installation], Any]
) -> None:
    one, two, payments = (
        await installation.open_invoice(4_000),
        await installation.open_invoice(5_000),
        installation.payments,
    )
    started = await payments.start((one, money(4_000)), (two, money(5_000)))
    async with a_backup(installation) as restore:
        already = payments.hook.count("payment_intent.succeeded")
        await payments.confirm(started)
        await payments.hook.until("payment_intent.succeeded", already + 1)
        await first(installation)
        facts, booked, receipts = (
            await published(installation),
            await ids_in_the_books(installation),
            await count_mails(installation, "receipt"),
        )
        await restore()

        await again(installation)

        assert {topic for topic, _ in facts} >= {PaymentSettled.topic.name, PaymentSucceeded.topic.name}
        assert {each for each in await published(installation) if each[0] != "payment.updated"} == {
            each for each in facts if each[0] != "payment.updated"
        }
    assert await ids_in_the_books(installation) == booked
    assert await count_mails(installation, "receipt") == receipts
    for invoice, total in ((one, 4_000), (two, 5_000)):
        shown = await installation.world.get(f"/invoices/{invoice}")
        assert (shown["status"], shown["settled"]["minor"]) == ("paid", total)
    await payments.consume()
    await as_the_runbook_says(installation)
    report = await verify(installation.access, wait=0)
    assert not report.breaches, str(report)


async def test_a_decline_is_told_once_although_it_is_heard_of_again_after_a_restore(
    installation: Installation,
) -> None:
    invoice, payments = await installation.open_invoice(4_000), installation.payments
    started = await payments.start((invoice, money(4_000)))
    async with a_backup(installation) as restore:
        already = payments.hook.count("payment_intent.payment_failed")
        await payments.confirm(started, "pm_card_chargeDeclined")
        await payments.hook.until("payment_intent.payment_failed", already + 1)
        await payments.consume()
        facts, mails = await published(installation), await count_mails(installation, "payment_failed")
        await restore()

        await by_sweeper(installation)

        assert await published(installation) == facts
    assert {topic for topic, _ in facts} == {PaymentFailed.topic.name}
    assert await count_mails(installation, "payment_failed") == mails


async def test_failed_attempts_and_webhooks_are_read_again_from_their_topic(
    installation: Installation,
) -> None:
    invoice, payments = await installation.open_invoice(4_000), installation.payments
    started = await payments.start((invoice, money(4_000)))

    async def kept() -> list[Any]:
        admin = installation.dbs["payment"].admin
        attempts = await admin.fetch("SELECT * FROM failed_attempts ORDER BY name")
        return [*attempts, *await admin.fetch("SELECT source_id, subject FROM inbox ORDER BY 1")]

    async with a_backup(installation) as restore:
        already = payments.hook.count("payment_intent.payment_failed")
        await payments.confirm(started, "pm_card_chargeDeclined")
        await payments.hook.until("payment_intent.payment_failed", already + 1)
        before = await kept()
        await payments.consume()
        after = await kept()
        await restore()
        assert await kept() == before != after

        await payments.consume()

        assert await kept() == after


async def test_a_refund_that_is_booked_again_after_a_restore_is_booked_once(
    installation: Installation,
) -> None:
    """The one of the whole's refunds that the bank has not answered for."""
    payments = installation.payments
    sent = await installation.dbs["payment"].admin.fetchval(
        "SELECT stripe_refund_id FROM refunds WHERE status = 'pending'"
    )
    async with a_backup(installation) as restore:
        already = payments.hook.count("refund.updated")
        path = f"/accounts/platform/refunds/{sent}/settle"
        await payments.sandbox.control("POST", path, {"outcome": "succeeded"})
        await payments.hook.until("refund.updated", already + 1)
        await payments.consume()
        facts, booked = await published(installation), await ids_in_the_books(installation)
        mails = await count_mails(installation, "refund")
        await restore()

        await sweep_refunds(payments.worker, payments.stripe, AT_ONCE)

        assert await published(installation) == facts
    assert {topic for topic, _ in facts} == {PaymentRefunded.topic.name}
    assert await ids_in_the_books(installation) == booked
    assert await count_mails(installation, "refund") == mails
    report = await verify(installation.access, wait=0)
    assert not report.breaches, str(report)
