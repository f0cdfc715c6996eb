"""A payment database that was restored from a backup books again what it had booked: under the same ids, once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.events import CloudEvent
from contracts.payment import PaymentFailed, PaymentRefunded, PaymentSettled, PaymentSucceeded
from deploy.ops import database
from deploy.ops.reemit import reemit
from deploy.ops.verify.run import verify
from services.payment import jobs
from services.payment.refunds.stripe_calls import sweep_refunds
from tests.builders.events import outbox_events
from tests.builders.values import money
from tests.running.apps import in_own_task
from tests.running.installation import Whole, _name, _send_visitors_away, a_whole

AT_ONCE = timedelta(0)
EVER = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
async def whole(postgres: str, roles: dict[str, str]) -> AsyncIterator[Whole]:
    async with in_own_task(a_whole(postgres, roles)) as made:
        yield made


@asynccontextmanager
async def a_backup(whole: Whole) -> AsyncIterator[Callable[[], Any]]:
    """A backup of the payment database as it is now, and what puts it in the database's place."""
    dsn = whole.dbs["payment"].admin_dsn
    original, server = _name(dsn), database.with_database(dsn, "postgres")
    kept = f"{original}_kept"

    async def restore() -> None:
        await _send_visitors_away(server, original)
        await database.drop(server, original)
        await database.clone(server, "payment", original, kept)

    await _send_visitors_away(server, original)
    await database.clone(server, "payment", kept, original)
    try:
        yield restore
    finally:
        await database.drop(server, kept)


async def ids_in_the_books(whole: Whole) -> set[Any]:
    rows = await whole.dbs["payment"].admin.fetch(
        "SELECT 'entry', id FROM entries UNION ALL SELECT 'movement', id FROM movements"
    )
    return {tuple(row) for row in rows}


async def published(whole: Whole) -> set[tuple[str, UUID]]:
    """Topic and id of what payment has published since, which is carried to all who listen."""
    events: list[CloudEvent] = await outbox_events(whole.dbs["payment"])
    await whole.pump()
    return {(event.topic.name, event.id) for event in events}


async def letters(whole: Whole, template: str) -> int:
    count: int = await whole.dbs["notification"].admin.fetchval(
        "SELECT count(*) FROM deliveries WHERE template = $1", template
    )
    return count


async def as_the_runbook_says(whole: Whole) -> None:
    """After a restore, what the database missed of the invoices is published again."""
    await reemit(whole.access.databases["invoice"], whole.dbs["invoice"].worker_dsn, "invoice", EVER)
    await whole.pump()


async def by_webhook(whole: Whole) -> None:
    await whole.desk.hear()


async def by_success_alone(whole: Whole) -> None:
    """Without its charge's event, and not with the batch that it came in."""
    news = [event for event in whole.desk.hook.events() if event.event_type == "payment_intent.succeeded"]
    await whole.desk.hear(news[-1])


async def by_event_queued_before(whole: Whole) -> None:
    """In the form that the edge of an earlier release gave it."""
    news = [event for event in whole.desk.hook.events() if event.event_type == "payment_intent.succeeded"]
    await whole.desk.hear(news[-1].model_copy(update={"attempt": None}))


async def by_sweeper(whole: Whole) -> None:
    await jobs.sweep_payments(whole.desk.worker, whole.desk.stripe, AT_ONCE)


WAYS = [by_webhook, by_success_alone, by_event_queued_before, by_sweeper]


@pytest.mark.parametrize("again", WAYS)
@pytest.mark.parametrize("first", [by_webhook, by_sweeper])
async def test_a_payment_that_is_booked_again_after_a_restore_is_booked_once(
    whole: Whole, first: Callable[[Whole], Any], again: Callable[[Whole], Any]
) -> None:
    one, two, desk = await whole.owes(4_000), await whole.owes(5_000), whole.desk
    started = await desk.start((one, money(4_000)), (two, money(5_000)))
    async with a_backup(whole) as restore:
        already = desk.hook.count("payment_intent.succeeded")
        await desk.confirm(started)
        await desk.hook.until("payment_intent.succeeded", already + 1)
        await first(whole)
        said, booked, receipts = (
            await published(whole),
            await ids_in_the_books(whole),
            await letters(whole, "receipt"),
        )
        await restore()

        await again(whole)

        assert {topic for topic, _ in said} >= {PaymentSettled.topic.name, PaymentSucceeded.topic.name}
        assert {each for each in await published(whole) if each[0] != "payment.updated"} == {
            each for each in said if each[0] != "payment.updated"
        }
    assert await ids_in_the_books(whole) == booked
    assert await letters(whole, "receipt") == receipts
    for invoice, total in ((one, 4_000), (two, 5_000)):
        shown = await whole.world.get(f"/invoices/{invoice}")
        assert (shown["status"], shown["settled"]["minor"]) == ("paid", total)
    await desk.hear()
    await as_the_runbook_says(whole)
    report = await verify(whole.access, wait=0)
    assert not report.breaches, str(report)


async def test_a_decline_is_told_once_although_it_is_heard_of_again_after_a_restore(whole: Whole) -> None:
    invoice, desk = await whole.owes(4_000), whole.desk
    started = await desk.start((invoice, money(4_000)))
    async with a_backup(whole) as restore:
        already = desk.hook.count("payment_intent.payment_failed")
        await desk.confirm(started, "pm_card_chargeDeclined")
        await desk.hook.until("payment_intent.payment_failed", already + 1)
        await desk.hear()
        said, told = await published(whole), await letters(whole, "payment_failed")
        await restore()

        await by_sweeper(whole)

        assert await published(whole) == said
    assert {topic for topic, _ in said} == {PaymentFailed.topic.name}
    assert await letters(whole, "payment_failed") == told


async def test_a_refund_that_is_booked_again_after_a_restore_is_booked_once(whole: Whole) -> None:
    """The one of the whole's refunds that the bank has not answered for."""
    desk = whole.desk
    sent = await whole.dbs["payment"].admin.fetchval(
        "SELECT stripe_refund_id FROM refunds WHERE status = 'pending'"
    )
    async with a_backup(whole) as restore:
        already = desk.hook.count("refund.updated")
        path = f"/accounts/platform/refunds/{sent}/settle"
        await desk.sandbox.control("POST", path, {"outcome": "succeeded"})
        await desk.hook.until("refund.updated", already + 1)
        await desk.hear()
        said, booked = await published(whole), await ids_in_the_books(whole)
        told = await letters(whole, "refund")
        await restore()

        await sweep_refunds(desk.worker, desk.stripe, AT_ONCE)

        assert await published(whole) == said
    assert {topic for topic, _ in said} == {PaymentRefunded.topic.name}
    assert await ids_in_the_books(whole) == booked
    assert await letters(whole, "refund") == told
    report = await verify(whole.access, wait=0)
    assert not report.breaches, str(report)
