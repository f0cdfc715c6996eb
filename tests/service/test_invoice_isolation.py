"""Isolation and constraints of the database itself, whatever the code above it does."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from services.chassis.ids import new_id
from tests.builders.payments import a_settlement
from tests.builders.values import money
from tests.running.databases import ServiceDb
from tests.running.invoice import InvoiceService, an_invoice_service


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


TABLES = [
    "clinics",
    "clients",
    "invoice_counters",
    "credit_note_counters",
    "invoice_documents",
    "invoice_document_taxes",
    "invoice_document_lines",
    "invoices",
    "invoice_lines",
    "movements",
    "invoice_payments",
]


async def test_every_table_hides_every_row_until_a_clinic_is_set(world: InvoiceService) -> None:
    invoice = await world.issue()
    await world.deliver(a_settlement(world.clinic_id, UUID(invoice["id"]), money(12_500)))
    credited = await world.http.call(
        "POST",
        f"/invoices/{invoice['id']}/credit-notes",
        world.staff,
        json={"reason": "goodwill", "lines": [{"position": 1, "quantity": "0.5"}]},
        headers={"Idempotency-Key": "credit"},
    )
    assert credited.status_code == 201, credited.text
    counts = {}
    async with world.db.api.tx(None) as tx:
        for table in TABLES:
            counts[table] = await tx.fetchval(f"SELECT count(*) FROM {table}")
    assert counts == dict.fromkeys(TABLES, 0)
    for table in TABLES:
        assert await world.db.admin.fetchval(f"SELECT count(*) FROM {table}") > 0


async def test_every_table_of_the_service_forces_row_level_security(world: InvoiceService) -> None:
    rows = await world.db.admin.fetch(
        """
        SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attname = 'clinic_id'
            AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
        """
    )
    assert rows == []


async def test_a_clinic_cannot_write_into_another(world: InvoiceService) -> None:
    other, _ = await world.add_clinic("other")
    async with world.db.api.tx(other) as tx:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.execute(
                "INSERT INTO clients (clinic_id, id, name, billing_address) VALUES ($1, $2, 'X', '{}')",
                world.clinic_id,
                new_id(),
            )


async def test_a_clinics_own_people_cannot_change_its_settings(world: InvoiceService) -> None:
    async with world.db.api.tx(world.clinic_id) as tx:
        changed = await tx.execute("UPDATE clinics SET online_payment = false")
    assert changed == "UPDATE 0"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM clients",
        "UPDATE clinics SET undo_hours = 0",
        "UPDATE invoice_lines SET net_amount = 0",
        "UPDATE invoice_documents SET total_amount = 0",
        "UPDATE invoices SET total_amount = 1",
        "DELETE FROM invoices",
        "UPDATE movements SET amount = 0",
        "UPDATE movements SET booked_at = now()",
    ],
)
async def test_the_worker_may_do_only_what_consumers_need(world: InvoiceService, statement: str) -> None:
    async with world.db.worker.worker_tx() as tx:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.execute(statement)


async def test_the_database_itself_refuses_sums_that_do_not_add_up(world: InvoiceService) -> None:
    await world.issue()
    for change in (
        "total_amount = total_amount + 1",
        "tax_amount = -1",
        "status = 'paid'",
        "due_on = '2000-01-01'",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await world.db.admin.execute(f"UPDATE invoices SET {change}")


async def test_the_database_itself_refuses_a_time_zone_that_it_does_not_know(world: InvoiceService) -> None:
    """Otherwise every list of that clinic's invoices would fail."""
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await world.db.admin.execute("UPDATE clinics SET time_zone = 'Europe/Atlantis'")
