"""The real faults of `./clinicpay alerts`, and what must happen so that every panel has data."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import httpx2
from aiokafka import AIOKafkaProducer
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.ops.verify import textfile as textfile_of
from deploy.ops.verify.access import Access
from deploy.ops.verify.run import verify
from services.chassis.ids import new_id
from tests.faults import dispute_faults, drive, refund_faults
from tests.faults.drive import Client
from tests.faults.lab import Lab
from tests.running.notification import MailServer
from tests.running.settings import NOBODY

REQUESTS = 40
POOL = 10
"""Connections of an API's process."""
DECLINES, PAID, REFUSED = 18, 4, 25
"""In a minute of the scaled windows; a client may be declined twenty times in an hour."""
SETTINGS = {"STRIPE_CALLS_PER_SECOND_OF_ACCOUNT": "4", "STRIPE_TIMEOUT_SECONDS": "5"}
"""The lab lifts all budgets, as one client does there what a thousand do elsewhere."""
PRESSES = 40
"""Ten seconds of starts and more."""
LATE = 4
_PUT_OFF = "state = 'due' AND attempts > 0"
RECEIPT_SECONDS = 300.0
"""The objective of receipts, which no scaled window makes shorter."""
CLOCK_SECONDS = -10.0
"""Tokens bear half a minute."""


async def everyday(one: Lab, client: Client) -> None:
    """A payment, a decline, a refund, a dispute, and a payment that the account's owner takes without us."""
    await client.pay(await client.issue())
    await client.decline(await client.issue())
    await refund_faults.press(one, await refund_faults.credit(one, client))
    await dispute_faults.disputed(one, client)
    headers = {
        "Authorization": f"Bearer {one.system.stripe.secret_key}",
        "Stripe-Account": drive.ACCOUNT,
    }
    form = {"amount": "700", "currency": "eur", "payment_method": "pm_card_visa", "confirm": "true"}
    async with httpx2.AsyncClient(base_url=one.system.sandbox_url, headers=headers, timeout=20) as http:
        answer = await http.post("/v1/payment_intents", data=form | {"payment_method_types[]": "card"})
    answer.raise_for_status()


class Mails(MailServer):
    """A mail server without room, which puts all e-mails off until there is; it knows some addresses not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.unknown: set[str] = set()
        self.full = True

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.recipient_answer = (
            "550 5.1.1 nobody here"
            if address in self.unknown
            else "452 4.3.1 insufficient system storage"
            if self.full
            else "250 OK"
        )
        return await super().handle_RCPT(server, session, envelope, address, options)


@asynccontextmanager
async def mail_put_off(one: Lab) -> AsyncIterator[Mails]:
    """In the mailbox's place stands a mail server without room."""
    async with one.down("mailbox"):
        server = Mails()
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(server.protocol, "127.0.0.1", one.system.ports.smtp)
        try:
            yield server
        finally:
            listening.close()


async def paid_late_receipts(client: Client) -> float:
    """Payments whose receipts are put off. Answers the loop's time from which on they are late."""
    for _ in range(LATE):
        await client.pay(await client.issue())
    return asyncio.get_running_loop().time() + RECEIPT_SECONDS


async def mails_refused(one: Lab, client: Client, server: Mails) -> None:
    """The e-mails to a client whose address does not exist."""
    email = "nobody@example.com"
    server.unknown.add(email)
    body = {"name": "Una Known", "email": email, "billing_address": drive.ADDRESS}
    path = f"/clinics/{one.clinic['id']}/clients"
    made = await drive.persist(lambda: drive.api(one, "POST", path, body, key="unknown"))
    for _ in range(REFUSED):
        await client.issue(client_id=made["id"])


@asynccontextmanager
async def sweep_may_not(one: Lab) -> AsyncIterator[None]:
    """The worker of payment has lost a right that its sweep needs."""
    await one.admin["payment"].execute("REVOKE INSERT ON account_states FROM app_worker")
    try:
        yield
    finally:
        await one.admin["payment"].execute("GRANT INSERT ON account_states TO app_worker")


@asynccontextmanager
async def many_pay_at_once(client: Client) -> AsyncIterator[None]:
    """More clients press Pay than the account's budget allows, and press again until they may."""
    bills = await asyncio.gather(*(client.issue() for _ in range(PRESSES)))
    pressing = [asyncio.create_task(client.start(bill)) for bill in bills]
    try:
        yield
    finally:
        for each in pressing:
            each.cancel()
        await asyncio.gather(*pressing, return_exceptions=True)


async def old_rows(one: Lab) -> None:
    """Garbage on a topic, parked for longer than the objective; a task that nobody does; an exception of last week.

    And e-mails of an hour ago, which the mail server has put off.
    """
    producer = AIOKafkaProducer(bootstrap_servers=one.system.kafka.bootstrap_servers)
    await producer.start()
    await producer.send_and_wait("payment.settled", b"no event at all", key=b"nothing")
    await producer.stop()
    while not await one.value("invoice", "SELECT count(*) FROM parked"):
        await asyncio.sleep(0.2)
    await one.admin["invoice"].execute("UPDATE parked SET parked_at = now() - interval '20 min'")
    await one.admin["payment"].execute(
        """
        INSERT INTO tasks (clinic_id, kind, key, due_at, claimed_until)
        VALUES ($1, 'alerts_test', $1, now() - interval '10 min', now() + interval '1 h')
        """,
        new_id(),
    )
    await one.admin["payment"].execute(
        """
        INSERT INTO exceptions (clinic_id, id, kind, subject_id, cause, detail, created_at)
        VALUES ($1, $1, 'alerts_test', $1, 'none', '{}', now() - interval '4 days')
        """,
        new_id(),
    )
    while not await one.value("notification", f"SELECT count(*) FROM deliveries WHERE {_PUT_OFF}"):
        await asyncio.sleep(0.2)
    await one.admin["notification"].execute(
        f"UPDATE deliveries SET created_at = created_at - interval '1 hour' WHERE {_PUT_OFF}"
    )


async def verified(access: Access, textfile: Path) -> None:
    """`clinicpay verify --metrics` of these books."""
    textfile_of.write(await verify(access, wait=1), textfile)


async def books_broken(one: Lab, client: Client, textfile: Path) -> str:
    """Verify finds an invoice with a cent too little, and cannot ask Stripe. Answers the invoice's id."""
    bill = await client.issue()
    await one.admin["invoice"].execute(
        "UPDATE invoices SET settled_amount = settled_amount - 1 WHERE id = $1", UUID(bill.id)
    )
    await verified(replace(one.access, stripe_api_base=f"http://{NOBODY}"), textfile)
    return bill.id


async def mend_books(one: Lab, invoice_id: str, textfile: Path) -> None:
    await one.admin["invoice"].execute(
        "UPDATE invoices SET settled_amount = settled_amount + 1 WHERE id = $1", UUID(invoice_id)
    )
    await verified(one.access, textfile)


async def declined(client: Client) -> None:
    for _ in range(PAID):
        await client.pay(await client.issue())
    for _ in range(DECLINES):
        await client.decline(await client.issue())


@asynccontextmanager
async def invoices_locked(one: Lab) -> AsyncIterator[None]:
    """Somebody's transaction holds all invoices, and more requests than the API has connections wait for it."""
    path = f"/clinics/{one.clinic['id']}/invoices"
    async with one.admin["invoice"].acquire() as holder:
        held = holder.transaction()
        await held.start()
        await holder.execute("LOCK TABLE invoices IN ACCESS EXCLUSIVE MODE")
        asking = [asyncio.create_task(drive.api(one, "GET", path)) for _ in range(3 * POOL)]
        try:
            yield
        finally:
            await held.rollback()
            await asyncio.gather(*asking, return_exceptions=True)


async def settled(one: Lab) -> None:
    """A person has looked at all of that."""
    await one.admin["payment"].execute("DELETE FROM tasks WHERE kind = 'alerts_test'")
    await one.admin["payment"].execute(
        """
        UPDATE exceptions SET settled_at = now(), settled_by = id, settled_how = 'alerts_test'
        WHERE kind = 'alerts_test'
        """
    )
    await one.admin["invoice"].execute(
        """
        UPDATE parked SET state = 'discarded', resolved_at = now(), discarded_by = 'test', discard_reason = 'test'
        """
    )


async def parts_away(one: Lab, client: Client, faults: AsyncExitStack) -> None:
    """Until the stack ends: no relay, no Stripe, and neither invoice's worker nor the gateway has its database.

    The worker lives: a new one would have booked late payments before anybody reads its counters, see docs/metrics.md.
    """
    bills = [await client.issue() for _ in range(4)]
    _cut(one, faults, "postgres of invoice.worker")
    for bill in bills[:3]:
        await client.pay(bill)  # booked by payment, and paid late at invoice
    await faults.enter_async_context(one.down("relay"))
    await client.pay(bills[3])  # its booking stays in the outbox
    _cut(one, faults, "stripe", "postgres of gateway")
    await one.sweep_now()
    noise = asyncio.create_task(_noise(one))
    faults.callback(noise.cancel)


def _cut(one: Lab, faults: AsyncExitStack, *names: str) -> None:
    for name in names:
        one.link(name).cut = True
        faults.callback(one.link(name).heal)


async def _noise(one: Lab) -> None:
    """Requests that fail, and webhooks that nobody signed."""
    async with httpx2.AsyncClient(base_url=one.system.public_url, timeout=20) as http:
        while True:
            await asyncio.gather(
                *(http.get("/login") for _ in range(REQUESTS)),
                http.post("/webhooks/stripe", json={"id": "evt_1"}, headers={"Stripe-Signature": "t=1,v1=0"}),
                return_exceptions=True,
            )
            await asyncio.sleep(1)
