"""How long a verification takes: `python -m tests.bench.verify.measure 1000000` fills databases of its own with SQL.

Nothing of it is kept, unless `--keep` names a directory: what is in it is measured again the next time.
"""

import argparse
import asyncio
import os
import resource
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.events.payment import receipt_number
from contracts.events.topics import BY_NAME
from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.ops import database
from deploy.ops.consumers import topics_of_groups
from deploy.ops.topics import ensure as make_topics
from deploy.ops.verify.access import Access
from deploy.ops.verify.run import verify
from deploy.ops.why.asking import why
from tests.bench.verify.population import populate
from tests.bench.verify.topics import publish_implied

SLOWEST = 15
STARTING = 30
"""Seconds that a broker which has just started may need to know what its groups have read."""


async def measure(count: int, keep: Path | None, topics: bool) -> None:
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(
            EmbeddedPostgres(keep and keep / "postgres", durable=False)
        )
        admins = {
            service: database.with_database(postgres.admin_dsn, database.database_name(service))
            for service in database.SERVICES
        }
        dsns = await database.bootstrap(postgres.admin_dsn, database.SERVICES, database.test_passwords())
        await database.migrate_all(dsns)
        await _once(keep, f"populated-{count}", partial(populate, admins, count))
        access = Access(database.reader_dsns(postgres.admin_dsn, database.AUDITOR))
        if topics:
            kafka = await stack.enter_async_context(EmbeddedKafka(keep and keep / "kafka"))
            await make_topics(kafka.bootstrap_servers)
            await _once(keep, f"published-{count}", partial(_published, kafka.bootstrap_servers, admins))
            access = replace(access, kafka=kafka.bootstrap_servers)
        await _verified(postgres, access, topics)
        await _asked(access)


async def _once(keep: Path | None, name: str, make: Callable[[], Awaitable[None]]) -> None:
    """Make something, unless it is kept from an earlier time."""
    if keep and (keep / name).exists():
        return
    began = time.monotonic()
    await make()
    print(f"{name} in {time.monotonic() - began:.1f} s", flush=True)
    if keep:
        (keep / name).touch()


async def _published(bootstrap_servers: str, admins: Mapping[str, str]) -> None:
    print(f"{await publish_implied(bootstrap_servers, admins)} events were published", flush=True)
    await _read_by_all(bootstrap_servers)


async def _read_by_all(bootstrap_servers: str) -> None:
    """Each group has read to the end: what it claimed is what it has read."""
    for group, names in topics_of_groups().items():
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=group) as reader:
            partitions = [
                TopicPartition(name, number) for name in names for number in range(BY_NAME[name].partitions)
            ]
            reader.assign(partitions)
            await reader.commit(await reader.end_offsets(partitions))


async def _verified(postgres: EmbeddedPostgres, access: Access, topics: bool) -> None:
    began, ours, theirs = time.monotonic(), _own_seconds(), _server_seconds(postgres)
    report = await verify(access, topics=topics, wait=STARTING)
    for result in sorted(report.results, key=lambda result: -result.seconds)[:SLOWEST]:
        print(f"{result.seconds:6.1f} s  {result.check}")
    took, here = time.monotonic() - began, _own_seconds() - ours
    there = _server_seconds(postgres) - theirs
    print(f"verified in {took:.1f} s, {here:.1f} s of CPU here, {there:.1f} s of PostgreSQL's: {report}")


async def _asked(access: Access) -> None:
    """How long `clinicpay why` takes, by a reference of each form, of a payment in the middle."""
    async with database.connected(access.databases["payment"]) as connection:
        payment = await connection.fetchrow(
            """
            SELECT id, stripe_payment_intent_id AS intent, client_id FROM payments ORDER BY id
            OFFSET (SELECT count(*) / 2 FROM payments) LIMIT 1
            """
        )
    async with database.connected(access.databases["invoice"]) as connection:
        number = await connection.fetchval(
            "SELECT number FROM invoices JOIN movements ON invoice_id = invoices.id WHERE payment_id = $1 LIMIT 1",
            payment["id"],
        )
    references = {
        "a payment": str(payment["id"]),
        "a receipt": receipt_number(payment["id"]),
        "an intent": payment["intent"],
        "a client": str(payment["client_id"]),
        "an invoice": number,
        "a webhook": payment["intent"].replace("pi_", "evt_"),
        "a webhook of nobody": "evt_nobody",
        "a charge of nobody": "ch_nobody",
        "a trace of nobody": "0" * 32,
    }
    for name, reference in references.items():
        began = time.monotonic()
        found = await why(access, reference)
        print(f"{time.monotonic() - began:6.2f} s  why by {name}: {len(found)} journeys", flush=True)


def _own_seconds() -> float:
    """CPU of this process, and of those it had read topics."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _server_seconds(postgres: EmbeddedPostgres) -> float:
    """CPU of the server and of its processes that have ended."""
    fields = Path(f"/proc/{postgres.child.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    given = argparse.ArgumentParser(prog="tests.bench.verify.measure")
    given.add_argument("count", type=int)
    given.add_argument("--keep", type=Path)
    given.add_argument("--topics", action="store_true")
    asyncio.run(measure(**vars(given.parse_args())))
