"""Every SQL statement by which reminders are found."""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from contracts.money import Money
from contracts.vocabulary import PAYABLE_INVOICES
from services.chassis.db.database import Connection
from services.chassis.db.sql import literals

QUIET = timedelta(hours=20)
"""So long after an e-mail about an invoice none reminds of it, whatever plan or time zone a clinic sets. Less than a
day: the next day's reminder may be queued a little earlier than the last one was."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A clinic's plan of reminders; `done_on` and `done_plan` are of its last run, if there was one."""

    clinic_id: UUID
    locale: str
    time_zone: str
    reminders: tuple[int, ...]
    done_on: date | None
    done_plan: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Unpaid:
    """An invoice that its client is to pay."""

    id: UUID
    client_id: UUID
    due: Money


async def list_plans(tx: Connection) -> list[Plan]:
    """The plans of all clinics that remind."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, locale, time_zone, c.reminders, done_on, run.reminders AS done_plan
        FROM clinics AS c LEFT JOIN reminder_runs AS run USING (clinic_id)
        WHERE c.reminders <> '{}'
        ORDER BY clinic_id
        """
    )
    return [
        Plan(
            row["clinic_id"],
            row["locale"],
            row["time_zone"],
            tuple(row["reminders"]),
            row["done_on"],
            None if row["done_plan"] is None else tuple(row["done_plan"]),
        )
        for row in rows
    ]


async def list_unpaid(
    tx: Connection, clinic_id: UUID, due_on: date, plan_day: int, after: UUID, limit: int
) -> list[Unpaid]:
    """Unpaid invoices that are due on this day, in order of their ids, from after `after`.

    Left out is an invoice whose client has just been written to: one that was issued on the plan's day or later, or
    that an e-mail within `QUIET` was about. So is one that was reminded of for this day of the plan or a later one.
    """
    rows = await tx.fetch(
        f"""
        SELECT id, client_id, due_amount, currency FROM invoices AS i
        WHERE clinic_id = $1 AND due_on = $2 AND id > $4
            AND status IN {literals(PAYABLE_INVOICES)} AND NOT being_checked
            AND (issued_on IS NULL OR issued_on < $2 + $3::int)
            AND NOT EXISTS (
                SELECT FROM deliveries AS d
                WHERE d.clinic_id = i.clinic_id AND d.subject_id = i.id AND d.state <> 'dropped' AND (
                    (d.template = 'reminder' AND (d.facts ->> 'plan_day')::int >= $3)
                    OR (d.template IN ('reminder', 'invoice_ready') AND d.created_at > app_now() - $6::interval)
                )
            )
        ORDER BY id LIMIT $5
        """,
        clinic_id,
        due_on,
        plan_day,
        after,
        limit,
        QUIET,
    )
    return [
        Unpaid(row["id"], row["client_id"], Money(minor=row["due_amount"], currency=row["currency"]))
        for row in rows
    ]


async def save_run(tx: Connection, plan: Plan, today: date) -> None:
    """Save that the clinic's reminders of this day are queued."""
    await tx.execute(
        """
        INSERT INTO reminder_runs (clinic_id, done_on, reminders) VALUES ($1, $2, $3)
        ON CONFLICT (clinic_id) DO UPDATE SET done_on = excluded.done_on, reminders = excluded.reminders
        """,
        plan.clinic_id,
        today,
        list(plan.reminders),
    )
