"""`clinicpay verify` on the whole system while it runs."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient

from deploy.ops import topics
from deploy.ops.restore.seen import read_since
from deploy.ops.verify.access import Access
from deploy.ops.verify.run import verify
from tests.running.system import ROOT, Running, until
from tests.system.test_main_job import an_invoice, receipts_for, start, until_paid


async def command(*words: str, **environment: str) -> tuple[int, str]:
    """Run a command; returns its exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", *words),
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "300", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_the_running_system_is_sound_after_a_payment(system: Running, data: Path) -> None:
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    await system.confirm(begun)
    await until_paid(system, invoice)

    report = await verify(Access.of_data(data))

    assert not report.breaches, str(report)
    assert {"consumers_are_done", "charges_are_booked"} <= {result.check for result in report.results}


async def test_the_command_says_so_and_ends_well(system: Running, data: Path) -> None:
    code, output = await command("verify", "--data", str(data))

    assert code == 0, output
    assert "no breach" in output and "entries_balance" in output


async def test_the_check_of_its_own_stripe_finds_nothing_wrong(system: Running, data: Path) -> None:
    code, output = await command("stripe", "check", "--data", str(data))

    assert code == 0, output
    assert "WRONG" not in output and "UNKNOWN" not in output
    assert "nothing is to be set up" in output
    assert "first payment" not in output and "clinicpay stripe setup" not in output


async def test_up_says_where_metrics_and_process_ids_are(system: Running, data: Path) -> None:
    told = "\n".join(system.output)
    [shown] = re.findall(r"Process ids +(.+?) *$", told, re.MULTILINE)
    shell = await asyncio.create_subprocess_shell(shown, stdout=asyncio.subprocess.PIPE)
    listed, _ = await shell.communicate()

    assert str(data / "prometheus.json") in told
    assert (data / "prometheus.json").exists()
    assert re.search(rf"\b{system.pid('services.invoice worker')} .*services.invoice worker", listed.decode())


async def test_a_restore_reads_what_came_since_a_moment(system: Running, data: Path) -> None:
    access = Access.of_data(data)
    assert access.kafka

    async def published(invoice: dict[str, Any], since: datetime) -> bool:
        assert access.kafka
        seen = await read_since(access.kafka, access.kafka_security, since)
        return invoice["id"] in {str(invoice_id) for _, invoice_id in seen.invoices}

    earlier, at_first = await an_invoice(system), datetime.now(UTC) - timedelta(days=1)
    await until(lambda: published(earlier, at_first))
    moment = datetime.now(UTC)
    later = await an_invoice(system)
    await until(lambda: published(later, moment))

    assert not await published(earlier, moment)


async def test_without_a_system_it_cannot_check(tmp_path: Path) -> None:
    code, output = await command("verify", "--data", str(tmp_path))

    assert code == 2
    assert "cannot verify" in output


async def test_topics_that_are_lost_are_rebuilt_and_nobody_is_mailed_twice(
    system: Running, data: Path
) -> None:
    """Two topics with unread events of a booked payment are deleted."""
    access = Access.of_data(data)
    assert access.kafka
    earlier = await an_invoice(system)
    first = await start(system, earlier)
    await system.confirm(first)
    await until_paid(system, earlier)
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    # Killed between a mail server's acknowledgement and our record of it, notification sends once more.
    await until(lambda: _sent(access, first["payment_id"]))
    readers = [system.pid("services.invoice worker"), system.pid("services.notification worker")]
    for reader in readers:
        os.kill(reader, signal.SIGSTOP)
    await system.confirm(begun)
    await until(lambda: _booked(access, begun["payment_id"]))

    await _delete(access.kafka, LOST)
    # They were stopped while the topics were deleted: otherwise they would keep their offsets of the old topics.
    for reader in readers:
        os.kill(reader, signal.SIGKILL)
    await topics.ensure(access.kafka)
    code, output = await command("reemit", "--service", "payment", "--data", str(data))

    assert code == 0, output
    await until_paid(system, invoice)
    await until(lambda: _mailed(system, invoice))
    report = await verify(access, topics=True)
    assert not report.breaches, str(report)
    assert await _mailed(system, earlier) == await _mailed(system, invoice) == 1


LOST = ("payment.settled", "payment.succeeded")


async def _mailed(system: Running, invoice: dict[str, Any]) -> int:
    """The number of receipts that name the invoice."""
    return len(await receipts_for(system, invoice))


async def _sent(access: Access, payment_id: str) -> bool:
    """Whether the payment's receipt is recorded as sent."""
    sent = "SELECT count(*) > 0 FROM deliveries WHERE template = 'receipt' AND subject_id = $1 AND state = 'sent'"
    return await _holds(access.databases["notification"], sent, payment_id)


async def _booked(access: Access, payment_id: str) -> bool:
    """Whether the payment has succeeded and its events are sent."""
    booked = "SELECT status = 'succeeded' AND NOT EXISTS (SELECT FROM outbox) FROM payments WHERE id = $1"
    return await _holds(access.databases["payment"], booked, payment_id)


async def _holds(dsn: str, sql: str, payment_id: str) -> bool:
    database = await asyncpg.connect(dsn)
    try:
        return bool(await database.fetchval(sql, payment_id))
    finally:
        await database.close()


async def _delete(servers: str, names: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.delete_topics(list(names))
    left = set(names)
    while left:
        left &= set(await admin.list_topics())
    await admin.close()
