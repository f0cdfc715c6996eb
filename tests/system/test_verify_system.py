"""`clinicpay verify` on the whole system while it runs."""

import asyncio
import sys
from pathlib import Path

from deploy.verify import Access, verify
from tests.running import ROOT, Running
from tests.system.test_main_job import an_invoice, start, until_paid


async def command(*words: str, **environment: str) -> tuple[int, str]:
    """A command of the command line: its exit code, and all that it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", *words),
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "300", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_the_running_system_is_sound_after_a_payment(system: Running, data: Path) -> None:
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    await system.confirm(begun)
    await until_paid(system, invoice)

    report = await verify(Access.of_data(data))

    assert not report.breaches, str(report)
    assert {"consumers_are_done", "charges_are_booked"} <= {result.check for result in report.results}


async def test_the_command_says_so_and_ends_well(system: Running, data: Path) -> None:
    code, said = await command("verify", "--data", str(data))

    assert code == 0, said
    assert "no breach" in said and "entries_balance" in said


async def test_without_a_system_it_cannot_check(tmp_path: Path) -> None:
    code, said = await command("verify", "--data", str(tmp_path))

    assert code == 2
    assert "cannot verify" in said
