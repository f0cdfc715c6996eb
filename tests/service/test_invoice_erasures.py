"""Erasing who a document named leaves its sums and hashes; what was frozen before; what a restore brings back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.ops import database
from services.chassis import audit
from services.invoice.erasures import actions, store
from services.invoice.erasures.domain import Erasure
from tests.builders.invoices import invoice_body
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.invoice import InvoiceService, an_invoice_service

NAMED = {
    "name": "Ada Nolan",
    "billing_address": {"lines": [], "postcode": "", "city": "", "country": ""},
    "erased": False,
    "tax_number": "",
}
ERASED = NAMED | {"name": "", "erased": True}


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


async def paid(world: InvoiceService) -> Any:
    invoice = await world.issue()
    await world.deliver(a_settlement(world.clinic_id, UUID(invoice["id"]), eur(125)))
    return invoice


async def let_time_pass(world: InvoiceService, *tables: str) -> None:
    """The time of everybody in these tables has come."""
    for table in tables or ("invoice_identities", "clients"):
        await world.db.admin.execute(f"UPDATE {table} SET erase_after = current_date")


async def log_of(world: InvoiceService) -> list[Erasure]:
    async with world.db.worker.worker_tx() as tx:
        return await store.list_erasures(tx)


async def named(world: InvoiceService, invoice: Any) -> tuple[Any, str]:
    """Who the invoice is addressed to, and the client's name."""
    client = await world.get(f"/clients/{world.client_id}")
    return (await world.get(f"/invoices/{invoice['id']}"))["bill_to"], client["name"]


async def breaches(world: InvoiceService) -> list[audit.Breach]:
    connection = await asyncpg.connect(world.db.admin_dsn)
    try:
        return await audit.verify_chain(connection)
    finally:
        await connection.close()


async def test_names_are_kept_for_ten_years_after_the_year_of_issue(world: InvoiceService) -> None:
    invoice = await paid(world)
    await actions.erase_due(world.db.worker)

    assert await named(world, invoice) == (NAMED, "Ada Nolan") and await log_of(world) == []
    kept = await world.db.admin.fetchval("SELECT erase_after FROM invoice_identities")
    assert kept == date(kept.year, 1, 1) and kept.year == date.fromisoformat(invoice["issued_on"]).year + 11


async def test_an_erasure_leaves_sums_numbers_and_the_audit_log(world: InvoiceService) -> None:
    invoice = await paid(world)
    before = await world.get(f"/invoices/{invoice['id']}")
    await let_time_pass(world)

    await actions.erase_due(world.db.worker)

    assert await world.get(f"/invoices/{invoice['id']}") == before | {"bill_to": ERASED}
    assert await breaches(world) == []
    assert [(each.kind, each.subject_id) for each in await log_of(world)] == [
        ("invoice", UUID(invoice["id"])),
        ("client", world.client_id),
    ]
    held = await world.db.admin.fetchval("SELECT count(*) FROM audit WHERE audit::text ILIKE '%nolan%'")
    assert held == 0


TEXTS = """
    SELECT i.note, array_agg(d.explanation ORDER BY d.reason) AS explanations
    FROM invoices AS i JOIN invoice_documents AS d ON (d.clinic_id, d.invoice_id) = (i.clinic_id, i.id) GROUP BY i.note
"""


async def test_what_was_written_to_the_client_is_erased_with_the_name(world: InvoiceService) -> None:
    """And again after a restore. The books keep the document, its reason and its sums."""
    invoice = await world.issue(note="Get well soon, dear Ada Nolan")
    for reason, whole in (("goodwill", 5), ("other", 120)):
        body = {"reason": reason, "explanation": "Ada Nolan asked", "amount": eur(whole).model_dump()}
        path = f"/invoices/{invoice['id']}/write-off"
        done = await world.http.call(
            "POST", path, world.staff, json=body, headers={"Idempotency-Key": reason}
        )
        assert done.status_code == 201, done.text
    texts = await world.db.admin.fetch(TEXTS)
    assert "Ada Nolan" in str(texts)
    await let_time_pass(world)

    await actions.erase_due(world.db.worker)

    [row] = await world.db.admin.fetch(TEXTS)
    assert (row["note"], row["explanations"]) == ("", ["", "…"])
    assert await breaches(world) == []
    log = await log_of(world)
    await world.db.admin.execute("UPDATE invoices SET note = 'Ada Nolan'")
    await world.db.admin.execute("UPDATE invoice_identities SET name = 'Ada Nolan', erased_at = NULL")
    async with world.db.worker.worker_tx() as tx:
        await actions.replay_erasures(tx, log)
    assert (await world.db.admin.fetch(TEXTS))[0]["note"] == ""


async def test_an_open_invoice_and_a_client_on_a_document_keep_their_names(world: InvoiceService) -> None:
    invoice = await world.issue()
    await let_time_pass(world)
    await actions.erase_due(world.db.worker)
    assert await named(world, invoice) == (NAMED, "Ada Nolan")

    await world.deliver(a_settlement(world.clinic_id, UUID(invoice["id"]), eur(125)))
    await world.db.admin.execute("UPDATE invoice_identities SET erase_after = current_date + 1")
    await actions.erase_due(world.db.worker)
    assert await named(world, invoice) == (NAMED, "Ada Nolan")


async def test_an_erased_client_is_sent_no_invoice_until_they_are_named_again(world: InvoiceService) -> None:
    await let_time_pass(world)
    await actions.erase_due(world.db.worker)
    refused = await world.post_invoice(invoice_body(world.client_id))
    assert (refused.status_code, refused.json()["code"]) == (404, "client_not_found")

    path = f"/clients/{world.client_id}"
    renamed = await world.http.call("PATCH", path, world.staff, json={"name": "Ada Byrne"})
    assert renamed.status_code == 200, renamed.text

    assert (await world.issue())["bill_to"]["name"] == "Ada Byrne"


async def test_the_log_erases_again_what_a_restore_brought_back(world: InvoiceService) -> None:
    """And not a client who was named again after the erasure."""
    invoice = await paid(world)
    await let_time_pass(world)
    await actions.erase_due(world.db.worker)
    log = await log_of(world)
    await world.db.admin.execute("UPDATE invoice_identities SET name = 'Ada Nolan', erased_at = NULL")
    await world.db.admin.execute("UPDATE clients SET name = 'Ada Nolan', erased_at = NULL")
    await world.db.admin.execute("DELETE FROM erasures")

    for _ in range(2):
        async with world.db.worker.worker_tx() as tx:
            await actions.replay_erasures(tx, log)
        assert await named(world, invoice) == (ERASED, "")
        assert await log_of(world) == log

    await world.http.call("PATCH", f"/clients/{world.client_id}", world.staff, json={"name": "Ada Byrne"})
    async with world.db.worker.worker_tx() as tx:
        await actions.replay_erasures(tx, log)
    assert await named(world, invoice) == (ERASED, "Ada Byrne")


async def test_nobody_changes_what_a_document_said(world: InvoiceService) -> None:
    await world.issue()
    for statement in ("UPDATE invoices SET seller = '{}'", "UPDATE invoice_identities SET name = 'X'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with world.db.api.tx(world.clinic_id) as tx:
                await tx.execute(statement)


async def test_documents_of_before_are_frozen_as_the_upgrade_finds_them(
    world: InvoiceService, roles: dict[str, str]
) -> None:
    """Also what an earlier version issues beside this one."""
    invoice = await paid(world)
    whole = await world.get(f"/invoices/{invoice['id']}")
    await world.db.admin.execute(
        """
        DROP TRIGGER freeze_document ON invoices; DROP FUNCTION freeze_document, seller_of;
        DROP TABLE invoice_identities, erasures;
        ALTER TABLE invoices DROP COLUMN seller, DROP COLUMN locale, DROP COLUMN time_zone;
        ALTER TABLE clients DROP COLUMN erase_after, DROP COLUMN erased_at,
            ADD CONSTRAINT clients_name_check CHECK (length(name) BETWEEN 1 AND 200);
        DROP POLICY every_clinic ON clients; DROP FUNCTION erase_after;
        ALTER TABLE clinics DROP COLUMN tax_number, DROP COLUMN external_id, DROP COLUMN metadata;
        ALTER TABLE clients DROP COLUMN tax_number, DROP COLUMN external_id, DROP COLUMN metadata;
        ALTER TABLE invoices DROP COLUMN external_id, DROP COLUMN location;
        DELETE FROM schema_migrations WHERE version IN ('1007', '1061')
        """
    )
    owner = database.with_database(roles["invoice_owner"], world.db.admin_dsn.rsplit("/", 1)[1].split("?")[0])

    await asyncio.to_thread(database.migrate, "invoice", owner)

    assert await world.get(f"/invoices/{invoice['id']}") == whole
    forced = await world.db.admin.fetchval(
        """
        SELECT count(*) FROM pg_class WHERE relforcerowsecurity
            AND relname IN ('clinics', 'clients', 'invoices', 'invoice_identities', 'erasures')
        """
    )
    assert forced == 5
    async with world.db.api.tx(world.clinic_id) as tx:
        await tx.execute(
            """
            INSERT INTO invoices (clinic_id, id, client_id, number, status, currency, subtotal_amount, tax_amount,
                total_amount, issued_on, due_on, summary)
            SELECT clinic_id, gen_random_uuid(), client_id, '2020-000009', 'unpaid', 'EUR', 100, 0, 100, '2020-01-01',
                '2020-02-01', 'S'
            FROM invoices
            """
        )
    early = await world.get("/invoices?status=unpaid")
    shown = await world.get(f"/invoices/{early['items'][0]['id']}")
    assert (shown["seller"], shown["bill_to"]) == (whole["seller"], NAMED)
