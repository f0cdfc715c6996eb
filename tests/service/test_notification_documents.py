"""Documents that e-mails carry: read from a real invoice service over the network, where the clinic wants them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import httpx2
import pytest
from joserfc.jwk import OKPKey

from contracts.events.envelope import CloudEvent
from contracts.events.payment import PaymentSucceeded
from services.chassis.http.auth import Caller, TokenMint
from services.chassis.ids import new_id
from services.invoice import app as invoice_app
from services.invoice.settings import Settings
from services.notification import consumers
from services.notification.emails import documents as limits
from services.notification.emails.documents import Documents
from services.notification.emails.sending import Sender
from tests.builders.callers import a_caller
from tests.builders.events import deliver, outbox_events
from tests.builders.payments import a_payment, a_settlement
from tests.builders.values import eur
from tests.running.apps import serving
from tests.running.databases import ServiceDb
from tests.running.invoice import InvoiceService, an_invoice_service
from tests.running.notification import MailServer, delivery_states, make_due, put_contact, sending
from tests.running.settings import COMMON, NOBODY

_key = OKPKey.generate_key("Ed25519")
PRIVATE, PUBLIC = (json.dumps(_key.as_dict(private=private)) for private in (True, False))


@dataclass
class World:
    """A clinic that attaches documents, and the service at `url` that prints them."""

    invoice: InvoiceService
    notification: ServiceDb
    mail: MailServer
    url: str
    told: int = 0

    async def tell(self, *events: CloudEvent) -> None:
        """Deliver to notification what invoice has published since, and these events."""
        published = await outbox_events(self.invoice.db)
        await deliver(self.notification.worker, consumers, *published[self.told :], *events)
        self.told = len(published)

    @asynccontextmanager
    async def sender(self, url: str | None = None, private_key: str = PRIVATE) -> AsyncIterator[Sender]:
        documents = Documents(url or self.url, private_key)
        async with sending(self.notification, self.mail.port, documents=documents) as sender:
            yield sender
        await documents.close()

    async def printed(self, path: str) -> bytes:
        answer = await self.invoice.http.call("GET", path, self.invoice.client)
        assert answer.status_code == 200, answer.text
        content: bytes = answer.content
        return content


@pytest.fixture
async def world(db_invoice: ServiceDb, db_notification: ServiceDb, mail: MailServer) -> AsyncIterator[World]:
    settings = Settings(database_url=db_invoice.api_dsn, **COMMON, document_token_public_key=PUBLIC)
    async with an_invoice_service(db_invoice) as invoice, serving(invoice_app.api(settings)) as url:
        made = World(invoice, db_notification, mail, url)
        await invoice.change_clinic(attach_documents=True)
        await put_contact(db_notification, invoice.clinic_id, invoice.client_id)
        yield made


def files(message: EmailMessage) -> dict[str | None, bytes]:
    assert not message.defects
    return {part.get_filename(): part.get_content() for part in message.iter_attachments()}


async def test_emails_carry_their_documents(world: World) -> None:
    invoice = await world.invoice.issue()
    await world.tell()
    async with world.sender() as sender:
        await sender.send_due()
        payment_id, of_invoice = new_id(), f"/invoices/{invoice['id']}"
        paid = a_payment(
            PaymentSucceeded,
            world.invoice.clinic_id,
            (invoice["id"], eur(50)),
            payment_id=payment_id,
            client_id=world.invoice.client_id,
        )
        settled = a_settlement(world.invoice.clinic_id, invoice["id"], eur(50), payment_id=payment_id)
        await world.invoice.deliver(settled)
        await world.tell(paid)
        await sender.send_due()
        made = await world.invoice.http.call(
            "POST",
            f"{of_invoice}/credit-notes",
            world.invoice.staff,
            json={"reason": "goodwill"},
            headers={"Idempotency-Key": "credit"},
        )
        note = made.json()["document"]
        await world.tell()
        await sender.send_due()

    new, receipt, credited = world.mail.inbox
    assert files(new) == {f"Invoice-{invoice['number']}.pdf": await world.printed(f"{of_invoice}/pdf")}
    assert list(files(receipt)) == [f"Receipt-{invoice['number']}.pdf"]
    credit_note = await world.printed(f"{of_invoice}/credit-notes/{note['id']}/pdf")
    assert files(credited) == {f"Credit-note-{note['number']}.pdf": credit_note}
    for message in (new, receipt, credited):
        body = message.get_body(("plain",))
        assert body is not None and "Harbour" in body.get_content()
        assert message.get_body(("html",)) is not None


async def test_a_receipt_waits_for_its_payment_to_be_booked(world: World) -> None:
    invoice = await world.invoice.issue()
    await world.tell()
    async with world.sender() as sender:
        await sender.send_due()
        earlier = a_settlement(world.invoice.clinic_id, invoice["id"], eur(25))
        await world.invoice.deliver(earlier)
        paid = a_payment(
            PaymentSucceeded,
            world.invoice.clinic_id,
            (invoice["id"], eur(50)),
            client_id=world.invoice.client_id,
        )
        await world.tell(paid)
        await sender.send_due()
        assert ("receipt", "due", 1, "document_409") in await delivery_states(world.notification)
        await world.invoice.deliver(
            a_settlement(world.invoice.clinic_id, invoice["id"], eur(50), payment_id=paid.payment_id)
        )
        await make_due(world.notification)
        await sender.send_due()

    assert [len(files(message)) for message in world.mail.inbox] == [1, 1]


async def test_a_clinic_that_does_not_want_it_attaches_nothing(world: World) -> None:
    await world.invoice.change_clinic(attach_documents=False)
    await world.invoice.issue()
    await world.tell()
    async with world.sender() as sender:
        await sender.send_due()

    [message] = world.mail.inbox
    assert files(message) == {} and message.get_content_type() == "multipart/alternative"


async def test_an_invoice_service_that_is_away_delays_an_email_and_then_it_goes_without(world: World) -> None:
    await world.invoice.issue()
    await world.invoice.issue()
    await world.tell()
    async with world.sender(f"http://{NOBODY}") as sender:
        await sender.send_due()
        assert {each[1:] for each in await delivery_states(world.notification)} == {
            ("due", 1, limits.UNREACHABLE)
        }
        assert world.mail.inbox == []
    async with world.sender() as sender:
        await make_due(world.notification)
        await world.notification.admin.execute("UPDATE tasks SET attempts = 0")
        await sender.send_due()
    assert [len(files(message)) for message in world.mail.inbox] == [1, 1]

    await world.invoice.issue()
    await world.tell()
    async with world.sender(f"http://{NOBODY}") as sender:
        for _ in range(limits.TRIES):
            assert len(world.mail.inbox) == 2
            await make_due(world.notification)
            await sender.send_due()
    assert files(world.mail.inbox[2]) == {}


async def test_a_repeated_email_has_the_same_id_and_the_same_file(world: World) -> None:
    await world.invoice.issue()
    await world.tell()
    database = world.notification
    async with world.sender() as sender:
        async with database.admin.acquire() as blocker, blocker.transaction():
            await blocker.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
            dying = asyncio.create_task(sender.send_due())
            await asyncio.wait_for(world.mail.seen.get(), 30)
            dying.cancel()
            await asyncio.gather(dying, return_exceptions=True)
        await make_due(database)
        world.mail.answers = ["451 4.3.0 try later"]
        await sender.send_due()
        await make_due(database)
        await sender.send_due()

    first, again = world.mail.inbox
    assert first["Message-ID"] == again["Message-ID"] and files(first) == files(again) != {}


async def test_what_is_too_large_is_left_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BYTES", 1_000)
    await world.invoice.issue()
    await world.tell()
    async with world.sender() as sender:
        await sender.send_due()

    [message] = world.mail.inbox
    assert files(message) == {}


async def test_no_connection_is_held_while_a_document_is_read(world: World) -> None:
    held: list[int] = []

    class Watched(Documents):
        async def fetch(self, *wanted: Any) -> Any:
            held.append(world.notification.worker.held)
            return await super().fetch(*wanted)

    documents = Watched(world.url, PRIVATE)
    await world.invoice.issue()
    await world.tell()
    async with sending(world.notification, world.mail.port, documents=documents) as sender:
        await sender.send_due()
    await documents.close()
    assert held == [0] and len(world.mail.inbox) == 1


async def test_a_slow_invoice_service_is_not_waited_for_by_each_email(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.2)
    asked: list[int] = []

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(1)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    for _ in range(3):
        await world.invoice.issue()
    await world.tell()
    async with world.sender(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as sender:
        await sender.send_due()
    server.close()

    assert len(asked) == 1 and world.mail.inbox == []
    assert {each[1:] for each in await delivery_states(world.notification)} == {
        ("due", 1, limits.UNREACHABLE)
    }


async def test_notifications_key_opens_documents_of_that_client_and_nothing_else(world: World) -> None:
    invoice = await world.invoice.issue()
    mint, world_of = TokenMint(PRIVATE, "notification"), world.invoice

    async def status(path: str, caller: Caller, minted: TokenMint = mint) -> int:
        headers = {"Authorization": f"Bearer {minted.token(audience='invoice', caller=caller)}"}
        return (await served.get(f"{world.url}{path}", headers=headers)).status_code

    async with httpx2.AsyncClient() as served:
        pdf = f"/invoices/{invoice['id']}/pdf"
        assert await status(pdf, world_of.client) == 200
        assert await status(pdf, a_caller("client", world_of.clinic_id)) == 404
        assert await status(f"/invoices/{invoice['id']}", world_of.client) == 401
        assert await status("/clinics", world_of.operator) == 401
        posing = TokenMint(PRIVATE, "gateway")
        assert await status(pdf, world_of.client, posing) == 401
        other = json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True))
        assert await status(pdf, world_of.client, TokenMint(other, "notification")) == 401
        for role in ("staff", "operator"):
            assert await status(pdf, a_caller(role, world_of.clinic_id)) == 401
