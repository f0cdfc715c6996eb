"""Reminders of unpaid invoices, on a real database and mail server, while the clock moves."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from contracts.events.account import AccountUpdated
from contracts.events.clinic import ClinicUpdated
from contracts.events.invoice import InvoiceCreated, InvoicePaid, InvoiceUpdated
from contracts.events.payment import PaymentDisputed, Share
from services.chassis import clock
from services.chassis.ids import new_id
from services.notification import consumers
from services.notification.emails.sending import Sender
from services.notification.reminders import actions, store
from services.notification.reminders.actions import queue_reminders
from tests.builders.clinics import a_clinic
from tests.builders.disputes import a_dispute
from tests.builders.events import deliver, next_state, waiting_parked
from tests.builders.invoices import an_invoice
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.notification import MailServer, put_contact

PLAN = (-3, 1, 7)
DUE = date(2026, 12, 10)
ISSUED = date(2026, 11, 1)
At = Callable[..., Awaitable[None]]


@pytest.fixture
async def at(db_notification: ServiceDb) -> AsyncIterator[At]:
    """Set the clock of this process and of the database: a time in Dublin, unless another zone is named."""

    async def move(moment: str, zone: str = "Europe/Dublin") -> None:
        clock.move(
            datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)) - datetime.now(ZoneInfo(zone))
        )
        shift = (clock.now() - datetime.now(ZoneInfo("UTC"))).total_seconds()
        name = await db_notification.admin.fetchval("SELECT current_database()")
        await db_notification.admin.execute(
            f"ALTER DATABASE {name} SET {clock.SETTING} = '{shift:.0f} seconds'"
        )
        # A session has the setting from its beginning.
        await db_notification.worker.close()
        await db_notification.admin.expire_connections()

    yield move
    clock.move(timedelta(0))


async def a_clinic_that_reminds(db: ServiceDb, **changes: Any) -> tuple[ClinicUpdated, UUID]:
    clinic, client_id = a_clinic(**{"reminders": PLAN} | changes), new_id()
    await deliver(db.worker, consumers, clinic)
    await put_contact(db, clinic.clinic_id, client_id)
    return clinic, client_id


async def an_unpaid(db: ServiceDb, clinic_id: UUID, client_id: UUID, **changes: Any) -> InvoiceCreated:
    """An invoice whose own e-mail went long ago."""
    invoice = an_invoice(clinic_id, client_id, **{"due_on": DUE, "issued_on": ISSUED} | changes)
    await deliver(db.worker, consumers, invoice)
    await db.admin.execute("DELETE FROM tasks WHERE kind = 'email.invoice_ready'")
    await db.admin.execute(
        "UPDATE deliveries SET created_at = created_at - interval '30 days' WHERE template = 'invoice_ready'"
    )
    return invoice


async def remind(db: ServiceDb, sender: Sender) -> None:
    """Queue what is due now, and send it whatever the pause between two."""
    await queue_reminders(db.worker)
    await db.admin.execute(
        "UPDATE tasks SET due_at = app_now() WHERE state = 'due' AND due_at < app_now() + interval '1 h'"
    )
    while await sender.send_due():
        pass


async def reminders(db: ServiceDb) -> list[tuple[int, str, str | None]]:
    """(day of the plan, state, reason) of each, oldest first."""
    rows = await db.admin.fetch(
        "SELECT (facts ->> 'plan_day')::int AS day, state, last_error FROM deliveries"
        " WHERE template = 'reminder' ORDER BY id"
    )
    return [(row["day"], row["state"], row["last_error"]) for row in rows]


async def test_an_unpaid_invoice_is_reminded_of_on_each_day_of_the_plan_once(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    await an_unpaid(db_notification, clinic.clinic_id, client_id)
    told = {}
    for day in (6, 7, 8, 10, 11, 12, 16, 17, 20):
        for hour in (8, 9, 21):
            before = len(mail.inbox)
            await at(f"2026-12-{day:02}T{hour:02}:30")
            await remind(db_notification, sender)
            if len(mail.inbox) > before:
                told[day, hour] = [str(message["Subject"]) for message in mail.inbox[before:]]

    assert told == {
        (7, 9): ["Reminder: invoice 2026-000001 over €125.00 is due on 10 December 2026 - Harbour Clinic"],
        (11, 9): ["Reminder: invoice 2026-000001 over €125.00 was due on 10 December 2026 - Harbour Clinic"],
        (17, 9): ["Reminder: invoice 2026-000001 over €125.00 was due on 10 December 2026 - Harbour Clinic"],
    }
    assert await waiting_parked(db_notification) == []


async def test_a_reminder_says_what_is_due_at_its_moment_and_leads_to_the_payment(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    invoice = await an_unpaid(db_notification, clinic.clinic_id, client_id)
    await at("2026-12-11T10:00")
    await queue_reminders(db_notification.worker)
    part = next_state(InvoiceUpdated, invoice, 2, status="part_paid", settled=eur(100))
    await deliver(db_notification.worker, consumers, part)
    await remind(db_notification, sender)

    [message] = mail.inbox
    body = message.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    ending = str(message["List-Unsubscribe"])
    assert re.fullmatch(r"<https://pay\.example/mail/[A-Za-z0-9_-]{80}>", ending)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert ending.strip("<>") in text
    assert "Amount due: €25.00" in text and "Pay €25.00" in text and "/pay/" in text
    assert "€125.00" not in text


@pytest.mark.parametrize("status", ["paid", "processing", "void", "credited", "written_off", "refunded"])
async def test_what_is_not_to_be_paid_is_reminded_of_neither_before_nor_after_it_was_queued(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At, status: str
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    queued = await an_unpaid(db_notification, clinic.clinic_id, client_id)
    await at("2026-12-11T10:00")
    await queue_reminders(db_notification.worker)
    ended = await an_unpaid(db_notification, clinic.clinic_id, client_id)
    for invoice in (queued, ended):
        await deliver(
            db_notification.worker, consumers, next_state(InvoiceUpdated, invoice, 2, status=status)
        )
    await at("2026-12-12T10:00")
    await remind(db_notification, sender)

    assert mail.inbox == []
    assert await reminders(db_notification) == [(1, "dropped", "nothing_to_pay")]


async def test_a_payment_that_is_heard_of_before_its_invoice_leads_to_no_reminder(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    invoice = an_invoice(clinic.clinic_id, client_id, due_on=DUE, issued_on=ISSUED)
    paid = next_state(InvoicePaid, invoice, 2, status="paid", settled=eur(125))
    await at("2026-12-11T10:00")
    await deliver(db_notification.worker, consumers, paid)
    await deliver(db_notification.worker, consumers, invoice)
    await remind(db_notification, sender)

    assert await reminders(db_notification) == [] and mail.inbox == []


async def test_an_invoice_of_which_a_bank_holds_money_is_not_reminded_of_until_the_bank_has_decided(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    invoice = await an_unpaid(
        db_notification, clinic.clinic_id, client_id, status="part_paid", settled=eur(25)
    )
    share = Share(invoice_id=invoice.invoice_id, amount=eur(25))
    opened = a_dispute(clinic.clinic_id, client_id, eur(25), invoices=(share,))
    lost = next_state(PaymentDisputed, opened, 3, status="lost")
    await at("2026-12-11T10:00")
    await deliver(db_notification.worker, consumers, opened)
    await remind(db_notification, sender)
    assert await reminders(db_notification) == [(1, "dropped", "disputed")]

    await deliver(db_notification.worker, consumers, lost)
    await deliver(
        db_notification.worker, consumers, next_state(PaymentDisputed, opened, 2, has_evidence=True)
    )
    await at("2026-12-17T10:00")
    await remind(db_notification, sender)
    assert await reminders(db_notification) == [(1, "dropped", "disputed"), (7, "sent", None)]


@pytest.mark.parametrize("change", [{"online_payment": False}, {"billing_shown": False}, "account"])
async def test_a_clinic_that_can_take_no_money_reminds_nobody(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At, change: Any
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    await an_unpaid(db_notification, clinic.clinic_id, client_id)
    event = (
        AccountUpdated(
            id=new_id(), time=clinic.time, clinic_id=clinic.clinic_id, version=1, takes_payments=False
        )
        if change == "account"
        else next_state(ClinicUpdated, clinic, 2, **change)
    )
    await deliver(db_notification.worker, consumers, event)
    await at("2026-12-11T10:00")
    await remind(db_notification, sender)

    assert mail.inbox == []
    assert await reminders(db_notification) == [(1, "dropped", "not_payable_online")]


async def test_after_days_without_sending_only_the_newest_goes_and_none_that_is_old(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    await an_unpaid(db_notification, clinic.clinic_id, client_id)
    for day in (7, 11):
        await at(f"2026-12-{day:02}T10:00")
        await queue_reminders(db_notification.worker)  # and the mail server is away
    await at("2026-12-13T03:00")
    await remind(db_notification, sender)
    assert mail.inbox == []
    await at("2026-12-13T09:01")
    await remind(db_notification, sender)
    assert await reminders(db_notification) == [(-3, "dropped", "day_is_over"), (1, "sent", None)]

    await at("2026-12-22T10:00")  # all was down, and the seventh day is five days ago
    await remind(db_notification, sender)
    assert len(mail.inbox) == 1


async def test_two_workers_at_once_and_one_that_was_killed_remind_once(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    invoices = [await an_unpaid(db_notification, clinic.clinic_id, client_id) for _ in range(7)]
    monkeypatch.setattr(actions, "AT_ONCE", 3)
    await at("2026-12-11T10:00")

    async def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(store, "save_run", killed)
        with pytest.raises(KeyboardInterrupt):
            await queue_reminders(db_notification.worker)
    await asyncio.gather(*(queue_reminders(db_notification.worker) for _ in range(3)))
    await deliver(db_notification.worker, consumers, *invoices)
    await remind(db_notification, sender)

    assert len(mail.inbox) == 7
    assert await reminders(db_notification) == [(1, "sent", None)] * 7


async def test_another_plan_or_zone_and_a_clock_that_jumps_repeat_no_day(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    await an_unpaid(db_notification, clinic.clinic_id, client_id)
    await at("2026-12-11T10:00")
    await remind(db_notification, sender)
    changes: list[dict[str, Any]] = [
        {"time_zone": "Pacific/Kiritimati"},
        {"reminders": ()},
        {"reminders": (1, 7)},
        {"time_zone": "America/Los_Angeles"},
        {"time_zone": "Europe/Dublin"},
    ]
    known = clinic
    for version, change in enumerate(changes, start=2):
        known = next_state(ClinicUpdated, known, version, **change)
        await deliver(db_notification.worker, consumers, known)
        for moment in ("2026-12-11T11:00", "2027-12-11T11:00", "2026-12-11T18:00"):
            await at(moment, known.time_zone)
            await remind(db_notification, sender)
    assert await reminders(db_notification) == [(1, "sent", None)]

    await at("2026-12-12T10:00")
    await deliver(db_notification.worker, consumers, next_state(ClinicUpdated, known, 9, reminders=(2, 7)))
    await remind(db_notification, sender)
    await at("2026-12-17T10:00")
    await remind(db_notification, sender)
    assert await reminders(db_notification) == [(1, "sent", None), (2, "sent", None), (7, "sent", None)]


async def test_a_plan_that_is_set_reminds_of_nothing_old_and_once_of_each(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification, reminders=())
    for day in range(20, 31):
        await an_unpaid(
            db_notification,
            clinic.clinic_id,
            client_id,
            due_on=date(2026, 11, day),
            issued_on=date(2026, 10, 1),
        )
    await at("2026-12-01T10:00")
    await remind(db_notification, sender)
    assert mail.inbox == []
    await deliver(db_notification.worker, consumers, next_state(ClinicUpdated, clinic, 2, reminders=PLAN))
    await remind(db_notification, sender)

    days = [day for day, _, _ in await reminders(db_notification)]
    assert sorted(days) == [1] * 4 + [7] * 4


async def test_a_client_is_reminded_of_an_invoice_once_a_day_whatever_the_clinic_sets(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At
) -> None:
    """It sets one plan after the other, and then another time zone: no second reminder, and no earlier day later on."""
    clinic, client_id = await a_clinic_that_reminds(db_notification, reminders=(3,))
    await an_unpaid(db_notification, clinic.clinic_id, client_id)
    await at("2026-12-13T10:00")
    await remind(db_notification, sender)
    version = 1
    for reminded, zone in (((0,), "Europe/Dublin"), ((2,), "Europe/Dublin"), ((1, 4), "Pacific/Kiritimati")):
        version += 1
        changed = a_clinic(clinic.clinic_id, version=version, reminders=reminded, time_zone=zone)
        await deliver(db_notification.worker, consumers, changed)
        await remind(db_notification, sender)
    assert await reminders(db_notification) == [(3, "sent", None)]

    changed = a_clinic(clinic.clinic_id, version=9, reminders=(2, 4))
    await deliver(db_notification.worker, consumers, changed)
    await at("2026-12-14T09:30")
    await remind(db_notification, sender)

    assert await reminders(db_notification) == [(3, "sent", None), (4, "sent", None)]
    assert len(mail.inbox) == 2


async def test_an_invoice_that_reached_its_client_today_is_reminded_of_tomorrow(
    db_notification: ServiceDb, sender: Sender, at: At
) -> None:
    """It was issued with an earlier date, and is overdue already."""
    clinic, client_id = await a_clinic_that_reminds(db_notification, reminders=(3,))
    await at("2026-12-13T10:00")
    invoice = an_invoice(clinic.clinic_id, client_id, due_on=DUE, issued_on=ISSUED)
    await deliver(db_notification.worker, consumers, invoice)
    await remind(db_notification, sender)
    assert await reminders(db_notification) == []

    await at("2026-12-14T10:00")
    await remind(db_notification, sender)

    assert await reminders(db_notification) == [(3, "sent", None)]


async def test_an_invoice_that_was_issued_on_the_day_or_later_is_not_reminded_of(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    for issued_on in (date(2026, 12, 7), date(2026, 12, 8)):
        await an_unpaid(db_notification, clinic.clinic_id, client_id, issued_on=issued_on)
    for day in (7, 8, 9, 10):
        await at(f"2026-12-{day:02}T10:00")
        await remind(db_notification, sender)

    assert await reminders(db_notification) == []


async def test_a_client_without_an_address_is_reminded_once_there_is_one_unless_that_is_too_late(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At
) -> None:
    clinic, _ = await a_clinic_that_reminds(db_notification)
    soon, late = new_id(), new_id()
    for client_id in (soon, late):
        await an_unpaid(db_notification, clinic.clinic_id, client_id)
    await at("2026-12-11T10:00")
    await remind(db_notification, sender)
    await put_contact(db_notification, clinic.clinic_id, soon)
    await remind(db_notification, sender)
    assert len(mail.inbox) == 1
    await at("2026-12-16T10:00")
    await put_contact(db_notification, clinic.clinic_id, late)
    await remind(db_notification, sender)

    assert sorted(await reminders(db_notification)) == [(1, "dropped", "day_is_over"), (1, "sent", None)]


async def test_a_reminder_that_the_topics_report_as_sent_is_not_sent_again_after_a_restore(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, at: At
) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    await an_unpaid(db_notification, clinic.clinic_id, client_id)
    await at("2026-12-11T10:00")
    await remind(db_notification, sender)
    async with db_notification.admin.acquire() as lost:
        await lost.execute(
            "INSERT INTO sent_before SELECT clinic_id, id, attempts, sent_at FROM deliveries WHERE state = 'sent'"
        )
        await lost.execute(
            "DELETE FROM deliveries WHERE template = 'reminder'; TRUNCATE tasks, reminder_runs"
        )
    await remind(db_notification, sender)

    assert len(mail.inbox) == 1
    assert await reminders(db_notification) == [(1, "sent", None)]


async def test_receipts_go_between_the_reminders_of_a_run(db_notification: ServiceDb, at: At) -> None:
    clinic, client_id = await a_clinic_that_reminds(db_notification)
    for _ in range(5):
        await an_unpaid(db_notification, clinic.clinic_id, client_id)
    await at("2026-12-11T10:00")
    await queue_reminders(db_notification.worker)

    rows = await db_notification.admin.fetch(
        "SELECT due_at FROM tasks WHERE kind = 'email.reminder' ORDER BY due_at"
    )
    assert [row["due_at"] - rows[0]["due_at"] for row in rows] == [actions.PAUSE * at for at in range(5)]
