"""PostgreSQL: restarts, cuts at COMMIT, deadlocks, a full disk."""

import asyncio
import os
import signal
import time

import asyncpg

from deploy.local.postgres import EmbeddedPostgres
from tests.faults import checks
from tests.faults.drive import Client
from tests.faults.lab import Lab, order
from tests.faults.lost_replies import at_rest
from tests.faults.matrix import Skipped, scenario
from tests.running.system import until

AREA = "PostgreSQL"


@scenario(AREA, "killed and back while clients pay, three times", quick=True)
async def restarted(lab: Lab, client: Client) -> None:
    bills = []
    for _ in range(3):
        bill = await client.issue()
        start = await client.start(bill)
        killed = asyncio.create_task(lab.restart("postgres", signal.SIGQUIT))
        await client.confirm(start)
        await killed
        bills.append(bill)
    await at_rest(lab, *bills, mails_may_repeat=True)


@scenario(AREA, "away for 20 s: webhooks are taken, and booked after")
async def away(lab: Lab, client: Client) -> None:
    bill = await client.issue()
    start = await client.start(bill)
    await checks.drained(lab)
    async with lab.down("postgres", signal.SIGQUIT):
        await client.confirm(start)
        await asyncio.sleep(20)
        if await _webhooks_waiting(lab):
            raise checks.Breach("a webhook waits for PostgreSQL")
    await at_rest(lab, bill)


async def _webhooks_waiting(lab: Lab) -> int:
    return int((await lab.control("GET", "/counts"))["webhooks"].get("waiting", 0))


@scenario(AREA, "every connection of a service ended by the server, over and over")
async def terminated(lab: Lab, client: Client) -> str:
    ended = 0
    bills = [await client.issue() for _ in range(3)]

    async def ending() -> None:
        nonlocal ended
        while True:
            for service in ("invoice", "payment", "notification"):
                query = """
                    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = $1 AND usename <> 'postgres'
                """
                ended += await lab.value(service, query, f"clinicpay_{service}")
            await asyncio.sleep(0.35)

    task = asyncio.create_task(ending())
    try:
        for bill in bills:
            await client.pay(bill)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await at_rest(lab, *bills, mails_may_repeat=True)
    return f"{ended} connections ended"


@scenario(AREA, "a deadlock with the consumer of settlements", quick=True)
async def deadlock(lab: Lab, client: Client) -> str:
    """Hold two invoices in the other order than the consumer takes them, until the server breaks it up."""
    bills = sorted([await client.issue(), await client.issue()], key=lambda bill: bill.id)
    starts = [await client.start(bill) for bill in bills]
    await checks.drained(lab)
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'clinicpay_invoice'"
    lock = "SELECT FROM invoices WHERE id = $1 FOR UPDATE"
    before = await lab.value("invoice", deadlocks)
    async with lab.admin["invoice"].acquire() as connection:
        held = connection.transaction()
        await connection.execute("SET deadlock_timeout = '20s'")  # the consumer is the one that is broken off
        await held.start()
        await connection.execute(lock, bills[1].id)
        with lab.frozen("invoice.worker"):
            for start in starts:
                await client.confirm(start)
            await until(lambda: _settled(lab, len(bills), [bill.id for bill in bills]), 30)
        await until(lambda: _waits_for_a_lock(lab), 30)
        await connection.execute(lock, bills[0].id)
        await held.rollback()
        await connection.execute("RESET deadlock_timeout")
    await at_rest(lab, *bills)
    return f"{await lab.value('invoice', deadlocks) - before} broken up by the server"


async def _settled(lab: Lab, count: int, ids: list[str]) -> bool:
    moved = await lab.value("payment", "SELECT count(*) FROM movements WHERE payable_id = ANY ($1)", ids)
    return bool(moved == count and not await lab.value("payment", "SELECT count(*) FROM outbox"))


async def _waits_for_a_lock(lab: Lab) -> bool:
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = 'clinicpay_invoice' AND usename = 'invoice_worker' AND wait_event_type = 'Lock'
    """
    return bool(await lab.value("invoice", query))


@scenario(
    AREA, "requests broken off in the middle: no connection goes back with an open transaction", quick=True
)
async def cancelled(lab: Lab, client: Client) -> str:
    """Lock an invoice, let requests wait for it, and hang up; then look for transactions that stayed open."""
    bill = await client.issue()
    async with lab.admin["payment"].acquire() as connection, connection.transaction():
        await until(lambda: lab.value("payment", "SELECT 1 FROM payables WHERE id = $1", bill.id), 30)
        await connection.execute("SELECT FROM payables WHERE id = $1 FOR UPDATE", bill.id)
        amount = {"minor": bill.total, "currency": "EUR"}
        tries = [asyncio.create_task(client.visitor.pay("faults", bill.id, amount)) for _ in range(8)]
        await asyncio.sleep(2)
        for each in tries:
            each.cancel()
        await asyncio.gather(*tries, return_exceptions=True)
        lab.link("postgres of payment.api").reset()
    try:
        await until(lambda: _none_open(lab), 30)
    except TimeoutError:
        raise checks.Breach("a connection stays idle in a transaction") from None
    await client.pay(bill)
    await at_rest(lab, bill)
    return "8 requests broken off"


@scenario(AREA, "payment.worker frozen for good inside a transaction, with its locks: another one takes over")
async def frozen_with_locks(lab: Lab, client: Client) -> str:
    bill = await client.issue()
    start = await client.start(bill)
    await checks.drained(lab)
    frozen = lab.pid("payment.worker")
    order(lab, "payment.worker", mode="freeze", point="before INSERT outbox", nth=1)
    await client.confirm(start)
    await until((lab.system.orders / "payment.worker.died").exists, 30)
    began = time.monotonic()
    # A process of its own instance: the group moves on once the frozen one's session has ended.
    extra = lab.system.another("payment.worker", "-2")
    child = await extra.start()
    try:
        await at_rest(lab, bill)
    finally:
        await child.stop(within=1)
        os.kill(frozen, signal.SIGKILL)
        (lab.system.orders / "payment.worker.died").unlink()
    await lab.all_run()
    return f"booked by the other after {time.monotonic() - began:.0f} s"


async def _none_open(lab: Lab) -> bool:
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE usename IN ('payment_api', 'payment_worker') AND state LIKE 'idle in transaction%'
    """
    return not await lab.value("payment", query)


@scenario(AREA, "its disk full while clients pay, and room again")
async def disk_full(lab: Lab, client: Client) -> str:
    """PostgreSQL has a small file system of its own, which is filled to the last block."""
    if lab.disk is None:
        raise Skipped("PostgreSQL's disk can only be filled where a tmpfs can be mounted: run it as root")
    bill, other = await client.issue(), await client.issue()
    start = await client.start(bill)
    await checks.drained(lab)
    lab.disk.fill()
    try:
        await client.confirm(start)
        await asyncio.sleep(12)
        refused = await _is_full(lab.system.postgres)
    finally:
        lab.disk.make_room()
    await lab.all_run()
    await client.pay(other)
    await at_rest(lab, bill, other, mails_may_repeat=True)
    return "writes were refused" if refused else "the server did not need more room"


async def _is_full(server: EmbeddedPostgres) -> bool:
    """Whether a write of some size is refused for want of room; a server that is down says so too."""
    try:
        connection = await asyncpg.connect(server.admin_dsn, timeout=5)
        try:
            await connection.execute(
                "CREATE TABLE filler AS SELECT repeat('x', 2000) FROM generate_series(1, 5000)"
            )
            await connection.execute("DROP TABLE filler")
        finally:
            connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return True
    return False
