"""Queue the reminders of the day, a bounded number in each transaction."""

from datetime import date, datetime, timedelta
from uuid import UUID

from contracts.events.payment import Share
from services.chassis import clock
from services.chassis.db.database import Connection, Database
from services.chassis.locale.formats import Formats
from services.notification.emails import actions as emails
from services.notification.emails import calendar
from services.notification.emails.domain import EmailData, NewDelivery
from services.notification.emails.messages import reminder
from services.notification.reminders import store
from services.notification.reminders.store import Plan, Unpaid

AT_ONCE = 500
"""Reminders that one transaction queues."""
PAUSE = timedelta(milliseconds=20)
"""Between two reminders of a run: receipts and other e-mails go between them."""
_FIRST = UUID(int=0)


async def queue_reminders(db: Database) -> None:
    """Queue the reminders that clinics' plans have for today, from the morning on at each clinic.

    To run it again, also at once in another process, queues none twice.
    """
    async with db.worker_tx() as tx:
        plans = await store.list_plans(tx)
    queued = 0
    for plan in plans:
        now = clock.now()
        today = _today(plan, now)
        if today is not None:
            queued = await _follow(db, plan, today, now, queued)


def _today(plan: Plan, now: datetime) -> date | None:
    """The day at the clinic; None before the morning, and once the day's reminders are queued."""
    local = Formats.of(plan).local(now)
    # Not "later than": a clock that was set wrong for a moment would stop all reminders.
    done = (plan.done_on, plan.done_plan) == (local.date(), plan.reminders)
    return None if done or local.hour not in calendar.CIVIL else local.date()


async def _follow(db: Database, plan: Plan, today: date, now: datetime, queued: int) -> int:
    for due_on, day in calendar.due_dates(plan.reminders, today).items():
        after: UUID | None = _FIRST
        while after is not None:
            async with db.worker_tx() as tx:
                found = await store.list_unpaid(tx, plan.clinic_id, due_on, day, after, AT_ONCE)
                queued += await _queue(tx, plan, due_on, day, found, now, queued)
            after = found[-1].id if len(found) == AT_ONCE else None
    async with db.worker_tx() as tx:
        await store.save_run(tx, plan, today)
    return queued


async def _queue(
    tx: Connection, plan: Plan, due_on: date, day: int, found: list[Unpaid], now: datetime, queued: int
) -> int:
    deliveries = [_delivery(plan, invoice, due_on, day, now) for invoice in found]
    return await emails.queue_timed(tx, reminder.KIND, deliveries, PAUSE * queued, PAUSE)


def _delivery(plan: Plan, invoice: Unpaid, due_on: date, day: int, now: datetime) -> NewDelivery:
    id_ = calendar.reminder_id(plan.clinic_id, invoice.id, due_on, day)
    share = Share(invoice_id=invoice.id, amount=invoice.due)
    data = EmailData(amount=invoice.due, at=now, invoices=(share,), plan_day=day)
    return NewDelivery(
        plan.clinic_id, id_, reminder.KIND.template, invoice.client_id, invoice.id, data, event_id=id_
    )
