"""`clinicpay verify` on the whole system while it runs."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient

from deploy.ops import topics
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
    await system.confirm(await start(system, earlier))
    await until_paid(system, earlier)
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    await until(lambda: _mailed(system, earlier))
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


async def _booked(access: Access, payment_id: str) -> bool:
    """Whether the payment has succeeded and its events are sent."""
    payment = await asyncpg.connect(access.databases["payment"])
    try:
        found = await payment.fetchval(
            "SELECT status = 'succeeded' AND NOT EXISTS (SELECT FROM outbox) FROM payments WHERE id = $1",
            payment_id,
        )
    finally:
        await payment.close()
    return bool(found)


async def _delete(servers: str, names: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.delete_topics(list(names))
    left = set(names)
    while left:
        left &= set(await admin.list_topics())
    await admin.close()
