"""Which day of a clinic's plan of reminders an invoice has reached, and which hours are civil. Pure."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from contracts.events.envelope import event_id

CIVIL = range(9, 20)
"""The hours, on the clinic's clock, in which reminders are sent."""
LATE_DAYS = 3
"""A reminder that could not be sent on its day is sent so many days later at most."""


def reached(plan: Collection[int], due_on: date, today: date) -> int | None:
    """The newest day of the plan that an invoice has reached, unless that was too long ago.

    The plan's days are counted from the due date.
    """
    age = (today - due_on).days
    newest = max((day for day in plan if day <= age), default=None)
    return newest if newest is not None and age - newest <= LATE_DAYS else None


def due_dates(plan: Collection[int], today: date) -> dict[date, int]:
    """The due dates of the invoices to be reminded of today, each with the day of the plan."""
    found = {}
    for age in sorted({day + late for day in plan for late in range(LATE_DAYS + 1)}):
        due_on = today - timedelta(days=age)
        day = reached(plan, due_on, today)
        if day is not None:
            found[due_on] = day
    return found


def until_civil(local: datetime) -> timedelta:
    """How long to wait for a civil hour; nothing within one. `local` is on the clinic's clock."""
    if local.hour in CIVIL:
        return timedelta(0)
    day = local.date() if local.hour < CIVIL.start else local.date() + timedelta(days=1)
    morning = datetime.combine(day, time(CIVIL.start), local.tzinfo)
    return timedelta(seconds=morning.timestamp() - local.timestamp())  # clocks may change in between


def reminder_id(clinic_id: UUID, invoice_id: UUID, due_on: date, plan_day: int) -> UUID:
    """The id of the one reminder of an invoice and a day of the plan: the same in each run, and after a restore."""
    begins = datetime.combine(due_on + timedelta(days=plan_day), time(), tzinfo=UTC)
    return event_id(begins, "reminder", clinic_id, invoice_id, plan_day)
