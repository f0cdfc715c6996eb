"""Time moved, as a simulation does it: Python's and SQL's together, in a service's real app and database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.chassis import clock
from services.invoice import app
from tests.builders.invoices import invoice_body
from tests.running.apps import calling
from tests.running.databases import ServiceDb
from tests.running.invoice import InvoiceService, an_invoice_service
from tests.running.settings import invoice_settings

BY = timedelta(days=20)


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as world:
        yield world


@pytest.fixture
async def later(world: InvoiceService) -> AsyncIterator[InvoiceService]:
    """The same clinic, asked in twenty days."""
    unpaid = await world.issue()
    assert not unpaid["overdue"]
    await world.db.admin.execute(_setting(world, f"SET {clock.SETTING} = '20 days'"))
    clock.move(BY)
    try:
        async with calling(app.api(invoice_settings(world.db.api_dsn)), "invoice") as http:
            yield InvoiceService(
                http, world.db, world.clinic_id, world.client_id, world.staff, world.operator
            )
    finally:
        clock.move(timedelta(0))
        await world.db.admin.execute(_setting(world, f"RESET {clock.SETTING}"))


def _setting(world: InvoiceService, change: str) -> str:
    database = world.db.admin_dsn.rpartition("/")[2].partition("?")[0]
    return f'ALTER DATABASE "{database}" {change}'


async def test_what_was_due_in_a_fortnight_is_overdue_in_twenty_days(later: InvoiceService) -> None:
    (invoice,) = (await later.get("/invoices"))["items"]

    assert invoice["overdue"]


async def test_an_invoice_issued_then_bears_that_day(later: InvoiceService) -> None:
    due = (clock.now() + timedelta(days=14)).date()
    answer = await later.post_invoice(invoice_body(later.client_id, due_on=due.isoformat()))

    assert answer.json()["issued_on"] == (datetime.now(UTC) + BY).date().isoformat()
    created = await later.db.admin.fetchval("SELECT max(created_at) - now() FROM invoices")
    assert BY - timedelta(minutes=5) < created <= BY
