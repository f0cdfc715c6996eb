"""`clinicpay reemit` says what a topic lost again, as it was said, and nothing happens twice."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.clinic import ClinicUpdated
from contracts.events import CloudEvent
from contracts.invoice import InvoiceCreated, InvoicePaid, InvoiceUpdated
from contracts.notification import NotificationFailed, NotificationSent
from contracts.payment import PaymentFailed, PaymentSettled, PaymentSucceeded
from deploy.reemit import reemit
from deploy.verify import verify
from services.notification import actions
from services.notification.domain import Failed, Outcome, Sent
from tests.service.verify_world import CONSUMERS, Whole, a_whole
from tests.world import in_own_task, money, outbox_events

EVER = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
async def whole(postgres: str, roles: dict[str, str]) -> AsyncIterator[Whole]:
    async with in_own_task(a_whole(postgres, roles)) as made:
        yield made


async def say_again(whole: Whole, since: datetime = EVER) -> list[CloudEvent]:
    """What the outboxes hold after it."""
    for service in CONSUMERS:
        await reemit(whole.access.databases[service], whole.dbs[service].worker_dsn, service, since)
    return [event for service in CONSUMERS for event in await outbox_events(whole.dbs[service])]


async def letters(whole: Whole) -> list[Any]:
    rows = await whole.dbs["notification"].admin.fetch("SELECT * FROM deliveries ORDER BY clinic_id, id")
    return [dict(row) for row in rows]


async def test_what_is_said_again_is_word_for_word_what_was_said(whole: Whole) -> None:
    await _mail(whole)
    await whole.pump()

    again = await say_again(whole)

    assert {type(event) for event in again} == {
        *(ClinicUpdated, InvoiceCreated, InvoiceUpdated, InvoicePaid, NotificationSent, NotificationFailed),
        *(PaymentSucceeded, PaymentFailed, PaymentSettled),
    }
    for event in again:
        said = whole.said[event.id]
        assert event == said.model_copy(update={"traceparent": None})
    movements = {event.id for event in whole.said.values() if isinstance(event, PaymentSettled)}
    assert movements <= {event.id for event in again}


async def test_saying_again_what_everybody_knows_changes_nothing(whole: Whole) -> None:
    before = await letters(whole)
    await say_again(whole)

    await whole.pump()

    assert await letters(whole) == before
    report = await verify(whole.access, wait=0)
    assert not report.breaches, str(report)


async def test_what_was_lost_before_anybody_read_it_is_made_good(whole: Whole) -> None:
    """An announcement, a payment and its movement are lost; then each has its effect, once."""
    issued = await whole.world.issue(900)
    await whole.pump(lose=True)
    paid = await whole.owes(1_100)
    await whole.desk.pay((paid, money(1_100)))
    await whole.pump(lose=True)
    broken = (await verify(whole.access, wait=0)).broken
    assert {"payables_are_invoices", "movements_agree", "one_receipt_per_payment"} <= broken, issued

    await say_again(whole)
    await whole.pump()

    report = await verify(whole.access, wait=0)
    assert not report.breaches, str(report)


async def test_only_what_changed_since_a_moment(whole: Whole) -> None:
    assert await say_again(whole, datetime.now(UTC) + timedelta(hours=1)) == []


async def _mail(whole: Whole) -> None:
    """Two e-mails come to their end: one is sent, one fails for good."""
    db = whole.dbs["notification"]
    async with db.worker.worker_tx() as tx:
        claims = await actions.claim_letters(tx, 2, timedelta(minutes=1))
    outcomes: tuple[Outcome, ...] = (Sent("<1@example.com>"), Failed("550"))
    for claim, outcome in zip(claims, outcomes, strict=True):
        async with db.worker.worker_tx() as tx:
            await actions.record(tx, claim.delivery, outcome)
