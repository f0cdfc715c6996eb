"""Series of numbers: a clinic's prefix and start, without a gap and without a repetition, also after a restore."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.events.invoice import InvoiceCreated
from deploy.ops.restore import invoice_step
from deploy.ops.restore.seen import Seen
from deploy.ops.verify.invoice_checks import CHECKS
from services.chassis import clock
from tests.builders.events import outbox_events
from tests.builders.invoices import invoice_body
from tests.running.databases import ServiceDb
from tests.running.invoice import CLINIC, InvoiceService, an_invoice_service, put

YEAR = clock.now().year


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


async def change_clinic(world: InvoiceService, **changes: Any) -> Any:
    return await put(world.http, f"/clinics/{world.clinic_id}", world.operator, CLINIC | changes)


async def breaches(world: InvoiceService) -> list[Any]:
    numbers = [check for check in CHECKS if check.name.startswith("numbers_")]
    assert len(numbers) == 2
    return [row for check in numbers for row in await world.db.admin.fetch(check.sql)]


def started_at(number: int, year: int = YEAR) -> dict[str, Any]:
    return {"number_start": {"year": year, "number": number}}


async def test_a_prefix_changes_how_numbers_look_and_not_how_they_count(world: InvoiceService) -> None:
    numbers = []
    for prefix in ("", "A-", "B/2-", "A-"):
        clinic = await change_clinic(world, number_prefix=prefix)
        assert clinic["number_prefix"] == prefix
        numbers.append((await world.issue())["number"])

    assert numbers == [f"{YEAR}-000001", f"A-{YEAR}-000002", f"B/2-{YEAR}-000003", f"A-{YEAR}-000004"]
    assert await breaches(world) == []


async def test_a_count_that_was_begun_elsewhere_goes_on(world: InvoiceService) -> None:
    await change_clinic(world, **started_at(418))
    issued = await asyncio.gather(*(world.issue() for _ in range(8)))
    before = await world.issue(issued_on=f"{YEAR - 1}-06-30")
    bulk = await world.http.call(
        "POST",
        "/invoices/bulk",
        world.staff,
        json={"invoices": [invoice_body(world.client_id)] * 2},
        headers={"Idempotency-Key": "bulk"},
    )

    assert sorted(each["number"] for each in issued) == [f"{YEAR}-{at:06}" for at in range(418, 426)]
    assert before["number"] == f"{YEAR - 1}-000001"
    assert [each["number"][5:] for each in bulk.json()["invoices"]] == ["000426", "000427"]
    assert await breaches(world) == []


async def test_a_year_that_has_begun_has_no_other_start(world: InvoiceService) -> None:
    await change_clinic(world, **started_at(5))
    await world.issue()
    path = f"/clinics/{world.clinic_id}"
    refused = await world.http.call("PUT", path, world.operator, json=CLINIC | started_at(9))

    assert (refused.status_code, refused.json()["code"]) == (409, "numbers_begun")
    await change_clinic(world, **started_at(5))
    await change_clinic(world, **started_at(7, YEAR + 1))
    assert (await world.issue())["number"] == f"{YEAR}-000006"


@pytest.mark.parametrize(
    "changes",
    [
        {"number_prefix": "a-"},
        {"number_prefix": "1-"},
        {"number_prefix": "A" * 11},
        {"number_prefix": "CN-"},
        {"number_prefix": "A\n"},
        started_at(0),
        started_at(10**9),
        started_at(1, 1999),
    ],
)
async def test_a_series_that_could_be_mistaken_is_refused(
    world: InvoiceService, changes: dict[str, Any]
) -> None:
    answer = await world.http.call(
        "PUT", f"/clinics/{world.clinic_id}", world.operator, json=CLINIC | changes
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_numbers")


async def test_numbers_that_a_restore_lost_are_never_given_again(world: InvoiceService) -> None:
    """The whole count is lost with its invoices, and the topics name them."""
    await change_clinic(world, number_prefix="A-", **started_at(418))
    for _ in range(2):
        await world.issue()
    seen = Seen()
    for event in await outbox_events(world.db):
        if isinstance(event, InvoiceCreated):
            seen.add(event)
    for table in ("invoice_lines", "invoice_identities", "invoices", "invoice_counters"):
        await world.db.admin.execute(f"DELETE FROM {table}")
    said: list[str] = []
    await invoice_step.resume_invoice(world.db.admin_dsn, seen, said.append)

    assert "1 counters of numbers were behind" in said[0]
    assert (await world.issue())["number"] == f"A-{YEAR}-000420"
    assert await breaches(world) == []
