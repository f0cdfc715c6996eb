"""Commands of docs/operations.md, run on a whole system with the words that the page has."""

import json
import os
import signal
from pathlib import Path
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaProducer

from deploy.ops.verify.access import Access
from deploy.ops.verify.run import verify
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.commands import command
from tests.running.system import Running, until
from tests.system.test_main_job import an_invoice, get, harbour, start, until_paid
from tests.tools.documented import documented


async def run(data: Path, words: tuple[str, ...], **placeholders: str) -> str:
    """Run the one documented command that begins with these words; returns what it printed."""
    [shown] = {
        each.words for each in documented("docs/operations.md") if each.whole and each.words[:2] == words
    }
    done = await command(*(placeholders.get(word, word) for word in shown), "--data", str(data))
    assert done.exit_code == 0, done.output
    return str(done.stdout).strip()


async def test_the_commands_about_keys(system: Running, data: Path) -> None:
    clinic = await harbour(system)

    def the_key(listed: str) -> str:
        [line] = [line for line in listed.splitlines() if "practice software" in line]
        return line.split()[0]

    assert (await run(data, ("keys", "make"), CLINIC_ID=clinic)).startswith("cpk_")
    key = the_key(await run(data, ("keys", "list"), CLINIC_ID=clinic))
    assert (await run(data, ("keys", "roll"), CLINIC_ID=clinic, KEY_ID=key)).startswith("cpk_")
    assert await run(data, ("keys", "revoke"), CLINIC_ID=clinic, KEY_ID=key) == "revoked"


async def test_a_forged_movement_is_taken_out(system: Running, data: Path) -> None:
    invoice, clinic = await an_invoice(system), await harbour(system)
    forged = a_settlement(UUID(clinic), UUID(invoice["id"]), eur(100))
    producer = AIOKafkaProducer(bootstrap_servers=Access.of_data(data).kafka)
    await producer.start()
    try:
        await producer.send_and_wait("payment.settled", forged.encode(), key=str(forged.key).encode())
    finally:
        await producer.stop()

    await until(lambda: _is_booked(system, invoice))
    said = await run(data, ("movements", "reverse"), CLINIC_ID=clinic, MOVEMENT_ID=str(forged.movement_id))

    assert said.startswith("reversed: ")
    assert (await get(system, invoice))["due"] == invoice["due"]
    report = await verify(Access.of_data(data), topics=True)
    assert not report.breaches, str(report)
    [told] = [each for each in report.results if each.check == "events_have_their_row"]
    assert told.left_out == {"movement that was reversed": 1}


async def _is_booked(system: Running, invoice: dict[str, Any]) -> bool:
    return bool((await get(system, invoice))["due"] != invoice["due"])


async def test_what_waits_for_a_worker_that_stands_still(system: Running, data: Path) -> None:
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    worker = system.pid("services.invoice worker")

    async def waits() -> bool:
        done = await command("waits", "--json", "--data", str(data))
        assert done.exit_code == 0, done.output
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return any((line["part"], line["kind"]) == ("invoice", "payment.settled") for line in lines)

    os.kill(worker, signal.SIGSTOP)
    try:
        await system.confirm(begun)
        await until(waits)
    finally:
        os.kill(worker, signal.SIGCONT)
    await until_paid(system, invoice)
    await until(lambda: _nothing_waits(waits))


async def _nothing_waits(waits: Any) -> bool:
    return not await waits()
