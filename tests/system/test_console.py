"""The operators' console beside a whole system: its own process, the commands that let somebody in, real Kafka."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from html import unescape
from pathlib import Path

import httpx2
import pytest

from deploy.local.demo.visitor import Refused
from deploy.ops.console.jobs import WORDS
from deploy.ops.data_directory import DataDirectory
from deploy.ops.ops_role import ops_dsns
from services.chassis.db.database import Database
from tests.running.commands import command
from tests.running.console import Console
from tests.running.system import Running, until
from tests.system.test_main_job import an_invoice, start, until_paid

NAME = "on-call@example.com"
LATER_JOBS = {"delete_old_rows", "end_erased"}
"""They run first after ten minutes, or hours."""


@pytest.fixture
async def console(system: Running, data: Path) -> AsyncIterator[Console]:
    """As a browser of an operator who was invited by the command, and logged in."""
    assert system.url
    added = await command("operators", "add", NAME, "--data", str(data))
    assert added.exit_code == 0, added.output
    own = Database(ops_dsns(data)["gateway"], size=1)
    async with httpx2.AsyncClient(base_url=DataDirectory(data).addresses()["console"]) as client:
        one = Console(client, own)
        link = added.stdout.strip().removeprefix(str(client.base_url).rstrip("/"))
        answer = await one.log_in(await one.set_up(link), name=NAME)
        assert answer.status_code == 303, answer.text
        yield one
    await own.close()
    removed = await command("operators", "remove", NAME, "--data", str(data))
    assert (removed.exit_code, removed.stdout) == (0, "removed\n")


async def test_an_operator_sees_that_all_is_well_and_finds_what_waits(
    system: Running, console: Console, data: Path
) -> None:
    listed = await command("operators", "list", "--data", str(data))
    assert f"{NAME}  set up" in listed.stdout

    async def knows_kafka() -> bool:
        return "to read" in (await console.get("/ops")).text

    await until(knows_kafka)
    invoice = await an_invoice(system)
    begun = await start(system, invoice)
    worker = system.pid("services.invoice worker")
    os.kill(worker, signal.SIGSTOP)
    try:
        await system.confirm(begun)

        async def tells() -> bool:
            page = await console.get("/ops/journeys", params={"q": begun["payment_id"]})
            return " for invoice's worker" in unescape(page.text)

        await until(tells, 60)

        async def warns() -> bool:
            return "invoice.worker: away." in (await console.get("/ops")).text

        await until(warns, 60)
    finally:
        os.kill(worker, signal.SIGCONT)
    await until_paid(system, invoice)
    headers = {"Authorization": "Bearer demo-operator-key"}
    answer = await console.client.get("/ops/api/journeys", params={"q": invoice["id"]}, headers=headers)
    assert any(step["text"] == "Paid" for step in answer.json()["journeys"][0]["steps"])


async def test_health_names_stripe_and_webhooks_that_do_not_come(system: Running, console: Console) -> None:
    async def says(words: str) -> bool:
        return words in (await console.get("/ops")).text

    invoice = await an_invoice(system)
    await system.control("POST", "/faults/webhooks", {"kind": "drop", "count": 20, "type": "*"})
    try:
        begun = await start(system, invoice)
        await system.confirm(begun)
        async with system.client() as client:  # comes back from the bank: the sweep asks soon
            await client.page(f"/c/harbour/payments/{begun['payment_id']}")
        await until_paid(system, invoice)
    finally:
        await system.control("DELETE", "/faults")
    await until(lambda: says("payment: payments without a webhook in a day: "), 60)
    assert not await says("Stripe does not answer")

    await system.control(
        "POST",
        "/faults/api",
        {"kind": "500_before", "method": "POST", "path": "/v1/payment_intents", "count": 9},
    )
    try:
        with suppress(Refused):
            await start(system, await an_invoice(system))
        await until(lambda: says("Stripe does not answer, or refuses: payment.api."), 60)
    finally:
        await system.control("DELETE", "/faults")
    assert await says("Nobody is charged twice")


async def test_jobs_of_every_service_are_shown_as_they_ran(console: Console) -> None:
    at_once = {words for name, words in WORDS.items() if name not in LATER_JOBS}

    async def all_ran() -> str | None:
        page = unescape((await console.get("/ops/jobs")).text)
        return page if all(words in page for words in at_once) else None

    page = await until(all_ran, 90)

    assert "All jobs run" in page


async def test_a_verification_is_kept_for_the_console(console: Console, data: Path) -> None:
    done = await command("verify", "--wait", "60", "--data", str(data))

    page = (await console.get("/ops/verify")).text
    assert ("No breach" in page) == (done.exit_code == 0)
    assert "All " in page and " checks" in page


async def test_a_lost_phone_takes_a_new_invitation(console: Console, data: Path) -> None:
    invited = await command("operators", "invite", NAME, "--data", str(data))
    link = httpx2.URL(invited.stdout.strip())

    await console.set_up(link.path)

    assert (await console.get("/ops")).headers["location"] == "/ops/login"


@pytest.mark.parametrize("words", [("invite", "nobody"), ("remove", "nobody"), ("add", NAME), ("add", " ")])
async def test_a_wrong_name_is_refused_in_a_line(
    console: Console, data: Path, words: tuple[str, str]
) -> None:
    done = await command("operators", *words, "--data", str(data))

    assert done.exit_code == 1
    assert done.stderr.startswith("clinicpay: ")
    assert done.stderr.count("\n") == 1


async def test_without_a_database_it_says_what_is_missing() -> None:
    done = await command("operators", "list", OPS_DATABASE_URLS="")

    assert done.exit_code == 1
    assert "OPS_DATABASE_URLS" in done.stderr
