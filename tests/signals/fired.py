"""`./clinicpay alerts`: real faults and a real Prometheus. Each alert that they can cause fires, and ends after them.

It takes about seven minutes. The other alerts (`BY_PROMTOOL_ALONE`) are fired by series, see `test_rules.py`.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import httpx2
from aiokafka import AIOKafkaProducer

from deploy.local.demo.visitor import Visitor
from deploy.ops.verify import textfile as textfile_of
from deploy.ops.verify.access import Access
from deploy.ops.verify.run import verify
from services.chassis.ids import new_id
from tests.faults import drive
from tests.faults.drive import Client
from tests.faults.lab import Lab, lab
from tests.running.notification import MailServer
from tests.running.settings import NOBODY
from tests.signals.prometheus import Prometheus, prometheus, served
from tests.signals.rules import alerts
from tests.tools.dashboards import DASHBOARDS

BY_PROMTOOL_ALONE = {
    "ReceiptsLate": "needs five minutes of waiting mail",
    "JobFails": "three runs take longer than its window here",
    "StripeBudgetSpent": "the lab lifts the budget",
    "ClockOff": "needs two clocks",
}
OF_ROWS = {"EventsParked", "QueueBehind", "ExceptionsWait"}
OF_PEOPLE = {"EmailsFail", "DeclinesRise"}
OF_BOOKS = {"BooksDisagree", "BooksNotVerified"}
OF_LOCKS = {"ConnectionsUsedUp"}
WHEN_OVER = {"PaidLate"}
"""A late payment shows itself once it is booked."""
LATER = {"SweepNotRunning", *WHEN_OVER}
NOT_CAUSED_HERE = {
    "Refunds and disputes",
    "Stripe's events that are not for us",
}
"""Panels."""
FIRES_WITHIN = 150.0
LOCKED = 25.0
"""Less than a statement may take."""
ENDS_WITHIN = 180.0
REQUESTS = 40
POOL = 10
"""Connections of an API's process."""
DECLINES, PAID, REFUSED = 18, 4, 25
"""In a minute of the scaled windows; a client may be declined twenty times in an hour."""
Say = Callable[[str], None]


async def run(say: Say) -> list[str]:
    """Cause the faults. Answers the alerts that did not fire or end, and the panels without data."""
    expected = set(alerts()) - set(BY_PROMTOOL_ALONE)
    async with AsyncExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clinicpay-alerts-")))
        one = await stack.enter_async_context(lab())
        await drive.put_on(one)
        textfile = place / "verify.prom"
        await _verified(one.access, textfile)
        address = await stack.enter_async_context(served(textfile))
        configuration = one.system.data.path / "prometheus.json"
        prom = await stack.enter_async_context(prometheus(configuration, place, address))
        visitor = await stack.enter_async_context(Visitor(one.system.public_url))
        client = Client(one, visitor)
        await client.log_in()
        await client.pay(await client.issue())
        await client.decline(await client.issue())
        await _quiet(prom, say)
        fired: set[str] = set()
        say("the faults begin")
        async with AsyncExitStack() as faults:
            await _old_rows(one)
            await _wait(prom, OF_ROWS, fired, FIRES_WITHIN)
            broken = await _books_broken(one, client, textfile)
            await _declined(client)
            async with _mail_refused(one):
                for _ in range(REFUSED):
                    await client.issue()
                await _wait(prom, OF_PEOPLE, fired, FIRES_WITHIN)
            await _wait(prom, OF_BOOKS, fired, FIRES_WITHIN)
            await _mend_books(one, broken, textfile)
            async with _invoices_locked(one):
                await _wait(prom, OF_LOCKS, fired, LOCKED)
            await _parts_away(one, client, faults)
            await _wait(prom, expected - LATER, fired, FIRES_WITHIN)
            await faults.enter_async_context(one.down("payment.worker"))
            await _wait(prom, expected - WHEN_OVER, fired, FIRES_WITHIN)
        await _settled(one)
        await one.quiet()
        missing = await _wait(prom, expected, fired, FIRES_WITHIN)
        say(f"fired: {', '.join(sorted(fired))}")
        wrong = [f"{name} did not fire" for name in sorted(missing)]
        wrong += [f"{name} did not end" for name in sorted(await _end(prom, ENDS_WITHIN))]
        wrong += [f"the panel {title!r} had no data" for title in await _empty_panels(prom)]
    return wrong


async def _quiet(prom: Prometheus, say: Say) -> None:
    left = await _end(prom, ENDS_WITHIN)
    if left:
        raise AssertionError(f"before any fault these fire: {left}")
    say("nothing fires before the faults")


async def _wait(prom: Prometheus, expected: set[str], fired: set[str], seconds: float) -> set[str]:
    """Wait until all of them have fired at some time; the ones that have not."""
    deadline = asyncio.get_running_loop().time() + seconds
    while expected - fired and asyncio.get_running_loop().time() < deadline:
        fired |= await prom.firing()
        await asyncio.sleep(1)
    return expected - fired


async def _end(prom: Prometheus, seconds: float) -> set[str]:
    deadline = asyncio.get_running_loop().time() + seconds
    while (now := await prom.firing()) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(1)
    return now


async def _empty_panels(prom: Prometheus) -> list[str]:
    return [
        f"{panel.title}: {legend}"
        for _, panels in DASHBOARDS.values()
        for panel in panels
        for legend, expression in panel.asks
        if panel.title not in NOT_CAUSED_HERE and not await prom.ever(expression)
    ]


async def _old_rows(one: Lab) -> None:
    """Garbage on a topic, parked for longer than the objective; a task that nobody does; an exception of last week."""
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


async def _verified(access: Access, textfile: Path) -> None:
    """`clinicpay verify --metrics` of these books."""
    textfile_of.write(await verify(access, wait=1), textfile)


async def _books_broken(one: Lab, client: Client, textfile: Path) -> str:
    """Verify finds an invoice with a cent too little, and cannot ask Stripe. Answers the invoice's id."""
    bill = await client.issue()
    await one.admin["invoice"].execute(
        "UPDATE invoices SET settled_amount = settled_amount - 1 WHERE id = $1", UUID(bill.id)
    )
    await _verified(replace(one.access, stripe_api_base=f"http://{NOBODY}"), textfile)
    return bill.id


async def _mend_books(one: Lab, invoice_id: str, textfile: Path) -> None:
    await one.admin["invoice"].execute(
        "UPDATE invoices SET settled_amount = settled_amount + 1 WHERE id = $1", UUID(invoice_id)
    )
    await _verified(one.access, textfile)


async def _declined(client: Client) -> None:
    for _ in range(PAID):
        await client.pay(await client.issue())
    for _ in range(DECLINES):
        await client.decline(await client.issue())


@asynccontextmanager
async def _mail_refused(one: Lab) -> AsyncIterator[None]:
    """In the mailbox's place stands a mail server that knows no address."""
    async with one.down("mailbox"):
        server = MailServer()
        server.recipient_answer = "550 5.1.1 nobody here"
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(server.protocol, "127.0.0.1", one.system.ports.smtp)
        try:
            yield
        finally:
            listening.close()


@asynccontextmanager
async def _invoices_locked(one: Lab) -> AsyncIterator[None]:
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


async def _settled(one: Lab) -> None:
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


async def _parts_away(one: Lab, client: Client, faults: AsyncExitStack) -> None:
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


def main() -> int:
    """Run it, and tell. 1 if something is wrong."""
    wrong = asyncio.run(run(lambda line: print(line, file=sys.stderr, flush=True)))
    for line in wrong:
        print(line)
    print(f"{len(set(alerts()) - set(BY_PROMTOOL_ALONE))} alerts by real faults, {len(wrong)} faults found")
    return 1 if wrong else 0
