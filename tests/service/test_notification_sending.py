"""From an event to an e-mail in a mailbox: real PostgreSQL, the real wrapper, a real SMTP server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, TypeVar
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from contracts.clinic import ClinicUpdated
from contracts.events import StateEvent
from contracts.invoice import InvoiceCreated, InvoicePaid, InvoiceUpdated
from contracts.money import Money
from contracts.notification import NotificationFailed, NotificationSent
from contracts.payment import PaymentFailed, PaymentSucceeded
from services.chassis.ids import new_id
from services.notification import actions, consumers
from services.notification.domain import Contact, Sent, Waits
from services.notification.jobs import Sender
from services.notification.letters import Letters
from services.notification.smtp import Smtp
from tests.world import ServiceDb, deliver, eur, outbox_events, waiting_parked

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
E = TypeVar("E", bound=StateEvent)


class MailServer:
    """A real SMTP server. It answers the next e-mails with `answers`, then takes all."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.recipient_answer = "250 OK"
        self.inbox: list[EmailMessage] = []
        self.seen: asyncio.Queue[EmailMessage] = asyncio.Queue()
        self.on_data: Callable[[], None] = lambda: None
        self.connections = 0
        self.port = 0

    async def handle_RCPT(
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        self.on_data()
        answer = self.answers.pop(0) if self.answers else "250 OK"
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.SMTP)
        assert isinstance(message, EmailMessage)
        if answer.startswith("250"):
            self.inbox.append(message)
            self.seen.put_nowait(message)
        return answer

    def protocol(self) -> SMTP:
        self.connections += 1
        return SMTP(self, hostname="mail.example", loop=asyncio.get_running_loop())

    def subjects(self) -> list[str]:
        return sorted(str(message["Subject"]) for message in self.inbox)


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    server = MailServer()
    listening = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()


@pytest.fixture
async def sender(db_notification: ServiceDb, mail: MailServer) -> AsyncIterator[Sender]:
    smtp = Smtp(f"smtp://127.0.0.1:{mail.port}")
    yield a_sender(db_notification, smtp)
    await smtp.close()


def a_sender(db: ServiceDb, smtp: Smtp) -> Sender:
    return Sender(db.worker, Letters("https://pay.example"), smtp, "billing@clinicpay.example")


def a_clinic(clinic_id: UUID | None = None, **more: Any) -> ClinicUpdated:
    body: dict[str, Any] = {
        "id": new_id(),
        "time": datetime.now(UTC),
        "clinic_id": clinic_id or new_id(),
        "version": 1,
        "slug": "harbour",
        "name": "Harbour Clinic",
        "currency": "EUR",
        "time_zone": "Europe/Dublin",
        "locale": "en-IE",
        "billing_shown": True,
        "online_payment": True,
        "methods": ("card",),
        "contact": {
            "phone": "+353 1 555",
            "email": "hello@harbour.example",
            "address": "Quay",
            "hours": "8–18",
        },
        "accent": "#0b6e6e",
    }
    return ClinicUpdated.model_validate(body | more)


def an_invoice(
    clinic: ClinicUpdated, client_id: UUID, total: Money | None = None, number: str = "2026-000001"
) -> InvoiceCreated:
    total = total or eur(125)
    return InvoiceCreated(
        id=new_id(),
        time=datetime.now(UTC),
        traceparent=f"00-{TRACE}-00f067aa0ba902b7-01",
        clinic_id=clinic.clinic_id,
        version=1,
        invoice_id=new_id(),
        client_id=client_id,
        number=number,
        status="unpaid",
        total=total,
        due_before_payments=total,
        settled=Money(minor=0, currency=total.currency),
        issued_on=date(2026, 11, 23),
        due_on=date(2026, 12, 7),
    )


def next_state(cls: type[E], state: StateEvent, version: int, **changed: Any) -> E:
    """The aggregate later on, told by another event."""
    return cls.model_validate({**state.model_dump(), "id": new_id(), "version": version, **changed})


def a_payment(cls: type[E], *invoices: InvoiceCreated, **more: Any) -> E:
    first = invoices[0]
    shares = tuple({"invoice_id": each.invoice_id, "amount": each.total} for each in invoices)
    body: dict[str, Any] = {
        "id": new_id(),
        "time": datetime.now(UTC),
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        "clinic_id": first.clinic_id,
        "version": 1,
        "payment_id": new_id(),
        "client_id": first.client_id,
        "status": "succeeded" if cls is PaymentSucceeded else "failed",
        "amount": Money(minor=sum(each.total.minor for each in invoices), currency="EUR"),
        "invoices": shares,
        "method": {"kind": "card", "brand": "visa", "last4": "4242"},
    }
    return cls.model_validate(body | more)


async def put_contact(
    db: ServiceDb, clinic_id: UUID, client_id: UUID, email: str = "client@example.com"
) -> None:
    async with db.api.tx(clinic_id) as tx:
        await actions.put_contact(tx, clinic_id, Contact(client_id, email, "Aoife Byrne", "en"))


async def a_client(db: ServiceDb) -> tuple[ClinicUpdated, UUID]:
    """A clinic that is known, and a client of it who can be reached."""
    clinic, client_id = a_clinic(), new_id()
    await deliver(db.worker, consumers, clinic)
    await put_contact(db, clinic.clinic_id, client_id)
    return clinic, client_id


async def hasten(db: ServiceDb) -> None:
    """Let the time pass that e-mails wait, and that leases last."""
    await db.admin.execute("UPDATE deliveries SET next_attempt_at = now(), claimed_until = NULL")


async def states(db: ServiceDb) -> list[tuple[str, str, int, str | None]]:
    rows = await db.admin.fetch("SELECT template, state, attempts, last_error FROM deliveries ORDER BY id")
    return [(row["template"], row["state"], row["attempts"], row["last_error"]) for row in rows]


async def test_a_payment_over_two_invoices_has_one_receipt_however_often_it_is_told(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    first, second = an_invoice(clinic, client_id), an_invoice(clinic, client_id, eur(50), "2026-000002")
    paid = [next_state(InvoicePaid, each, 2, status="paid", settled=each.total) for each in (first, second)]
    payment = a_payment(PaymentSucceeded, first, second)
    again = next_state(PaymentSucceeded, payment, 2)

    await deliver(db_notification.worker, consumers, first, second, payment, payment, *paid)
    await deliver(db_notification.worker, consumers, payment)
    await sender.send_due()
    await deliver(db_notification.worker, consumers, again)
    await hasten(db_notification)
    await sender.send_due()

    assert mail.subjects() == ["Receipt for your payment of €175.00"]
    body = mail.inbox[0].get_body(("plain",))
    assert body is not None
    assert "2026-000001" in body.get_content() and "2026-000002" in body.get_content()
    assert await waiting_parked(db_notification) == []


async def test_an_email_waits_for_the_contact_and_goes_when_it_is_put(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = a_clinic(), new_id()
    await deliver(db_notification.worker, consumers, clinic, an_invoice(clinic, client_id))
    await sender.send_due()
    assert mail.inbox == []
    assert await states(db_notification) == [("invoice_ready", "waiting", 0, "no_contact")]

    await put_contact(db_notification, clinic.clinic_id, client_id)
    await sender.send_due()

    assert mail.subjects() == ["Invoice 2026-000001 is ready"]
    assert await states(db_notification) == [("invoice_ready", "sent", 1, None)]


async def test_a_contact_that_is_put_while_its_email_is_looked_at_is_not_forgotten(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = a_clinic(), new_id()
    await deliver(db_notification.worker, consumers, clinic, an_invoice(clinic, client_id))
    await sender.send_due()
    await hasten(db_notification)
    async with db_notification.worker.worker_tx() as tx:
        (claim,) = await actions.claim_letters(tx, 1, timedelta(minutes=1))
    await put_contact(db_notification, clinic.clinic_id, client_id)
    async with db_notification.worker.worker_tx() as tx:
        await actions.record(tx, claim.delivery, Waits("no_contact"))

    assert await states(db_notification) == [("invoice_ready", "due", 0, "no_contact")]


async def test_a_451_is_tried_again_and_sent_once(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    mail.answers = ["451 4.3.0 try later"]
    await deliver(db_notification.worker, consumers, an_invoice(clinic, client_id))

    await sender.send_due()
    assert await states(db_notification) == [("invoice_ready", "due", 1, "451")]
    assert await sender.send_due() == 0, "not before its time"
    await hasten(db_notification)
    await sender.send_due()
    await hasten(db_notification)
    assert await sender.send_due() == 0

    assert len(mail.inbox) == 1
    (fact,) = await outbox_events(db_notification)
    assert isinstance(fact, NotificationSent)
    assert (fact.template, fact.attempts, fact.client_id) == ("invoice_ready", 2, client_id)
    assert fact.traceparent is not None and TRACE in fact.traceparent


async def test_a_550_is_the_end_and_is_told(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    mail.recipient_answer = "550 5.1.1 client@example.com is nobody here"
    await deliver(db_notification.worker, consumers, an_invoice(clinic, client_id))

    await sender.send_due()
    await hasten(db_notification)
    assert await sender.send_due() == 0

    (fact,) = await outbox_events(db_notification)
    assert isinstance(fact, NotificationFailed)
    assert fact.reason == "550"
    assert await states(db_notification) == [("invoice_ready", "failed", 1, "550")]


async def test_one_refusal_does_not_stop_the_others_on_the_same_connection(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    mail.answers = ["554 5.7.1 no"]
    await deliver(db_notification.worker, consumers, *(an_invoice(clinic, client_id) for _ in range(3)))

    await sender.send_due()

    assert (len(mail.inbox), mail.connections) == (2, 1)


async def test_a_crash_between_the_servers_250_and_the_commit_repeats_the_same_message_id(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    await deliver(db_notification.worker, consumers, an_invoice(clinic, client_id))
    async with db_notification.admin.acquire() as blocker, blocker.transaction():
        mail.on_data = lambda: blocked.set_result(None)
        blocked = asyncio.get_running_loop().create_future()
        dying = asyncio.create_task(sender.send_due())
        await mail_claimed(db_notification)
        await blocker.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
        await asyncio.wait_for(blocked, 5)
        await mail.seen.get()
        await waits_for_lock(db_notification)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
    assert await states(db_notification) == [("invoice_ready", "due", 0, None)]
    assert await sender.send_due() == 0, "still leased"

    mail.on_data = lambda: None
    await hasten(db_notification)
    await sender.send_due()

    assert len(mail.inbox) == 2
    assert len({message["Message-ID"] for message in mail.inbox}) == 1
    assert len(await outbox_events(db_notification)) == 1


async def mail_claimed(db: ServiceDb) -> None:
    async with asyncio.timeout(5):
        while not await db.admin.fetchval("SELECT count(*) FROM deliveries WHERE claimed_until IS NOT NULL"):
            await asyncio.sleep(0)


async def waits_for_lock(db: ServiceDb) -> None:
    async with asyncio.timeout(5):
        while not await db.admin.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0)


async def test_two_senders_share_the_work_and_repeat_none(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    await deliver(db_notification.worker, consumers, *(an_invoice(clinic, client_id) for _ in range(30)))
    smtp = Smtp(f"smtp://127.0.0.1:{mail.port}")
    other = a_sender(db_notification, smtp)

    done = await asyncio.gather(sender.send_due(), other.send_due())
    await smtp.close()

    assert sorted(done) == [10, 20]
    assert len({message["Message-ID"] for message in mail.inbox}) == len(mail.inbox) == 30


async def test_who_lost_the_lease_records_nothing(db_notification: ServiceDb) -> None:
    clinic, client_id = await a_client(db_notification)
    await deliver(db_notification.worker, consumers, an_invoice(clinic, client_id))
    async with db_notification.worker.worker_tx() as tx:
        (slow,) = await actions.claim_letters(tx, 1, timedelta(0))
    async with db_notification.worker.worker_tx() as tx:
        (quick,) = await actions.claim_letters(tx, 1, timedelta(minutes=1))
    for claim in (slow, quick):
        async with db_notification.worker.worker_tx() as tx:
            await actions.record(tx, claim.delivery, Sent("<a@b.example>"))

    assert len(await outbox_events(db_notification)) == 1


async def test_no_connection_is_held_while_the_mail_server_is_spoken_to(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    held: list[int] = []
    mail.on_data = lambda: held.append(db_notification.worker.held)
    await deliver(db_notification.worker, consumers, an_invoice(clinic, client_id))
    await sender.send_due()
    assert held == [0]


async def test_while_the_mail_server_is_away_one_email_is_tried_and_the_rest_kept(
    db_notification: ServiceDb,
) -> None:
    clinic, client_id = await a_client(db_notification)
    await deliver(db_notification.worker, consumers, *(an_invoice(clinic, client_id) for _ in range(3)))
    away = a_sender(db_notification, Smtp("smtp://127.0.0.1:1"))

    assert await away.send_due() == 1

    assert sorted(await states(db_notification)) == [
        ("invoice_ready", "due", 0, None),
        ("invoice_ready", "due", 0, None),
        ("invoice_ready", "due", 1, "unreachable"),
    ]
    assert (
        await db_notification.admin.fetchval(
            "SELECT count(*) FROM deliveries WHERE claimed_until IS NOT NULL"
        )
        == 0
    )


async def test_a_server_that_hangs_up_is_called_again(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    mail.answers = ["421 4.3.2 shutting down"]
    await deliver(db_notification.worker, consumers, an_invoice(clinic, client_id))
    await sender.send_due()
    await hasten(db_notification)
    await sender.send_due()
    assert (len(mail.inbox), mail.connections) == (1, 2)


async def test_a_running_sender_sends_as_soon_as_it_is_woken(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    async with sender.running():
        await deliver(db_notification.worker, consumers, an_invoice(clinic, client_id))
        sender.wake()
        async with asyncio.timeout(0.9):
            await mail.seen.get()
    assert await states(db_notification) == [("invoice_ready", "sent", 1, None)]


async def test_a_failure_is_told_once_it_has_not_been_mended(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    invoice = an_invoice(clinic, client_id)
    failed = a_payment(PaymentFailed, invoice, failure_code="card_declined")
    await deliver(db_notification.worker, consumers, invoice, failed, next_state(PaymentFailed, failed, 2))
    await deliver(db_notification.worker, consumers, next_state(PaymentFailed, failed, 3))
    await sender.send_due()
    assert mail.subjects() == ["Invoice 2026-000001 is ready"], "the client may be on the page still"

    await hasten(db_notification)
    await sender.send_due()
    assert mail.subjects() == ["Invoice 2026-000001 is ready", "Your payment of €125.00 did not go through"]


@pytest.mark.parametrize("late", [False, True])
async def test_a_failure_that_was_mended_is_not_told_whatever_the_order(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, late: bool
) -> None:
    clinic, client_id = await a_client(db_notification)
    invoice = an_invoice(clinic, client_id)
    failed = a_payment(PaymentFailed, invoice)
    succeeded = next_state(PaymentSucceeded, failed, 2, status="succeeded")
    await deliver(db_notification.worker, consumers, invoice)
    for event in (succeeded, failed) if late else (failed, succeeded):
        await deliver(db_notification.worker, consumers, event)
    await hasten(db_notification)
    await sender.send_due()
    assert mail.subjects() == ["Invoice 2026-000001 is ready", "Receipt for your payment of €125.00"]


async def test_an_older_version_overwrites_neither_invoice_nor_clinic(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    invoice = an_invoice(clinic, client_id)
    newer = next_state(InvoiceUpdated, invoice, 3, settled=eur(100), status="part_paid")
    renamed = next_state(ClinicUpdated, clinic, 3, name="Harbour Clinic West")
    older = next_state(InvoiceUpdated, invoice, 2)
    await deliver(db_notification.worker, consumers, newer, older, renamed)
    await deliver(
        db_notification.worker,
        consumers,
        invoice,
        next_state(ClinicUpdated, clinic, 2, name="Harbour Clinic East"),
    )

    await sender.send_due()

    body = mail.inbox[0].get_body(("plain",))
    assert body is not None
    assert "View and pay €25.00" in body.get_content()
    assert mail.inbox[0]["From"].addresses[0].display_name == "Harbour Clinic West"


async def test_an_invoice_paid_before_its_email_left_is_not_announced(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_client(db_notification)
    invoice = an_invoice(clinic, client_id)
    paid = next_state(InvoicePaid, invoice, 2, status="paid", settled=invoice.total)
    await deliver(db_notification.worker, consumers, invoice, paid)
    await sender.send_due()
    assert mail.inbox == []
    assert await states(db_notification) == [("invoice_ready", "dropped", 0, "nothing_to_pay")]


async def test_a_batch_costs_the_same_statements_however_large(db_notification: ServiceDb) -> None:
    clinic, client_id = await a_client(db_notification)

    async def statements(size: int) -> int:
        invoices = [an_invoice(clinic, client_id) for _ in range(size)]
        payments = [a_payment(PaymentSucceeded, each) for each in invoices]
        counted: list[Any] = []
        pool = await db_notification.worker._opened()
        async with pool.acquire() as connection, connection.transaction():
            with connection.query_logger(counted.append):
                await actions.keep_invoices(connection, invoices)
                await actions.tell_payments(connection, payments)
        return len(counted)

    await statements(1)  # asyncpg asks for the types once
    assert await statements(1) == await statements(50) == 4
