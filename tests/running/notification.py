"""What notification's tests are written in: a mail server, a sender, and builders of what other services tell."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, TypeVar
from uuid import UUID

from aiosmtpd.smtp import SMTP, Envelope, Session

from contracts.clinic import ClinicUpdated
from contracts.events import Method, StateEvent
from contracts.invoice import InvoiceCreated
from contracts.money import Money
from contracts.payment import PaymentRefunded, PaymentSucceeded
from services.chassis.ids import new_id
from services.notification import consumers
from services.notification.contacts import actions
from services.notification.contacts.domain import Contact
from services.notification.emails.rendering import Renderer
from services.notification.emails.sending import Sender
from services.notification.emails.smtp import Smtp
from tests.builders.callers import a_caller
from tests.builders.events import deliver
from tests.builders.values import eur
from tests.running.databases import ServiceDb

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
E = TypeVar("E", bound=StateEvent)


class MailServer:
    """A real SMTP server. It answers the next e-mails with `answers`, then takes all, over `most` connections."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.recipient_answer = "250 OK"
        self.inbox: list[EmailMessage] = []
        self.seen: asyncio.Queue[EmailMessage] = asyncio.Queue()
        self.on_data: Callable[[], None] = lambda: None
        self.connections = 0
        self.most = 1000
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

    def protocol(self) -> asyncio.Protocol:
        self.connections += 1
        if self.connections > self.most:
            return _Full()
        return SMTP(self, hostname="mail.example", loop=asyncio.get_running_loop())

    def subjects(self) -> list[str]:
        return sorted(str(message["Subject"]) for message in self.inbox)


class _Full(asyncio.Protocol):
    """A connection more than the server allows."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"421 4.7.0 too many connections\r\n")
        transport.close()


@asynccontextmanager
async def a_mail_server() -> AsyncIterator[MailServer]:
    """One that listens, in this event loop."""
    server = MailServer()
    listening = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()


@asynccontextmanager
async def sending(db: ServiceDb, port: int, lanes: int = 1) -> AsyncIterator[Sender]:
    """A sender over a mail server at a port; its connections are closed at the end."""
    kept = [Smtp(f"smtp://127.0.0.1:{port}") for _ in range(lanes)]
    yield a_sender(db, *kept)
    for smtp in kept:
        await smtp.close()


def a_sender(db: ServiceDb, *lanes: Smtp) -> Sender:
    return Sender(db.worker, Renderer("https://pay.example"), lanes, "billing@clinicpay.example")


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


def a_refund(clinic: ClinicUpdated, client_id: UUID, amount: Money) -> PaymentRefunded:
    return PaymentRefunded(
        id=new_id(),
        time=datetime.now(UTC),
        clinic_id=clinic.clinic_id,
        refund_id=new_id(),
        payment_id=new_id(),
        client_id=client_id,
        amount=amount,
        method=Method(kind="card", brand="visa", last4="4242"),
    )


async def put_contact(
    db: ServiceDb, clinic_id: UUID, client_id: UUID, email: str = "client@example.com"
) -> None:
    async with db.api.tx(clinic_id) as tx:
        contact = Contact(client_id, email, "Aoife Byrne", "en")
        await actions.create_contact(tx, a_caller("staff", clinic_id), contact)


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
