"""Notification's parts in this process: a mail server, a sender, contacts, and its deliveries."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

from aiosmtpd.smtp import SMTP, Envelope, Session

from contracts.events.clinic import ClinicUpdated
from contracts.pay_links import PayLinks
from services.chassis.ids import new_id
from services.notification import consumers
from services.notification.contacts import actions
from services.notification.contacts.domain import Contact
from services.notification.emails.documents import Documents
from services.notification.emails.rendering import Renderer
from services.notification.emails.sending import Sender
from services.notification.emails.smtp import Smtp
from tests.builders.callers import a_caller
from tests.builders.clinics import a_clinic
from tests.builders.events import deliver
from tests.running.databases import ServiceDb
from tests.running.settings import PAY_LINK_KEY


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

    def subjects(self, clinic: str = "Harbour Clinic") -> list[str]:
        """The subjects, in order, without the clinic's name at their ends."""
        return sorted(str(message["Subject"]).removesuffix(f" - {clinic}") for message in self.inbox)


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
async def sending(
    db: ServiceDb, port: int, lanes: int = 1, documents: Documents | None = None
) -> AsyncIterator[Sender]:
    """A sender over a mail server at a port; its connections are closed at the end."""
    kept = [Smtp(f"smtp://127.0.0.1:{port}") for _ in range(lanes)]
    yield a_sender(db, *kept, documents=documents)
    for smtp in kept:
        await smtp.close()


def a_sender(db: ServiceDb, *lanes: Smtp, documents: Documents | None = None) -> Sender:
    return Sender(
        db.worker,
        Renderer("https://pay.example", PayLinks((PAY_LINK_KEY.encode(),))),
        lanes,
        "billing@clinicpay.example",
        documents,
    )


async def put_contact(
    db: ServiceDb, clinic_id: UUID, client_id: UUID, email: str = "client@example.com"
) -> None:
    async with db.api.tx(clinic_id) as tx:
        contact = Contact(client_id, email, "Aoife Byrne", "en")
        await actions.create_contact(tx, a_caller("staff", clinic_id), contact)


async def a_reachable_client(db: ServiceDb) -> tuple[ClinicUpdated, UUID]:
    """A clinic that notification knows, and a client of it with an address."""
    clinic, client_id = a_clinic(), new_id()
    await deliver(db.worker, consumers, clinic)
    await put_contact(db, clinic.clinic_id, client_id)
    return clinic, client_id


async def make_due(db: ServiceDb) -> None:
    """Make all e-mails due, and end their leases."""
    await db.admin.execute("UPDATE tasks SET due_at = now(), claimed_until = NULL")


async def delivery_states(db: ServiceDb) -> list[tuple[str, str, int, str | None]]:
    rows = await db.admin.fetch(
        "SELECT template, state, attempts, last_error FROM deliveries ORDER BY subject_id"
    )
    return [(row["template"], row["state"], row["attempts"], row["last_error"]) for row in rows]
