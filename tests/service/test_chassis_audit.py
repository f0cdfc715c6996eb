"""The audit log: one entry for each change, one chain for each clinic, and every tampering is noticed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest

from services.chassis import audit
from services.chassis.audit import Breach
from services.chassis.http.auth import client
from services.chassis.ids import new_id
from services.invoice import app as invoice_app
from services.invoice.clients import store as clients
from services.invoice.erasures import actions as erasures
from services.notification import app as notification_app
from services.notification.contacts import store as contacts
from services.payment.app import ROUTES
from tests.builders.callers import a_caller
from tests.builders.invoices import invoice_body as a_bill
from tests.builders.invoices import taxed_invoice_body
from tests.running.databases import ServiceDb
from tests.running.gateway import (
    CLIENT,
    CLINIC,
    PASSWORD,
    Site,
    a_login,
    a_portal,
    a_site,
    a_whole_site,
    create_client,
    create_clinic,
    put_account,
)
from tests.running.invoice import InvoiceService, an_invoice_service
from tests.running.settings import OPERATOR_KEY


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


@pytest.fixture
async def site(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Site]:
    async with a_whole_site(db_gateway, db_invoice, db_payment, db_notification) as made:
        yield made


def test_each_route_by_which_staff_act_is_walked_here() -> None:
    """A new route fails this test until `test_each_deed_…` calls it too, and its change writes an entry.

    A refund needs credit: `test_payment_refunds.py::test_each_press_leaves_one_line_in_the_audit_log`. Corrections,
    pay links, recorded money, rules of refunds, exceptions and held acts are walked in the tests of their rooms.
    """
    payment = ROUTES
    handlers = [*invoice_app.ROUTES, *payment, *notification_app.ROUTES]
    theirs = {
        f"{method} {path}"
        for handler in handlers
        if handler.guards != [client] and not handler.opt.get("public")
        for method in handler.http_methods - {"GET"}
        for path in handler.paths
    }
    assert theirs == {
        "PUT /clinics/{clinic_id:uuid}",
        "POST /clinics/{clinic_id:uuid}",
        "PATCH /clinics/{clinic_id:uuid}",
        "POST /clients/{client_id:uuid}",
        "PATCH /clients/{client_id:uuid}",
        "POST /invoices",
        "POST /invoices/bulk",
        "PUT /account",
        "POST /refunds",
        "POST /contacts/{client_id:uuid}",
        "PATCH /contacts/{client_id:uuid}",
        "DELETE /contacts/{client_id:uuid}",
        *(f"POST /invoices/{{invoice_id:uuid}}/{verb}" for verb in (*CORRECTIONS, "pay-link/revoke")),
        *("POST /payments/recorded", "POST /payments/{payment_id:uuid}/reverse", "POST /credit/uses"),
        *("POST /cash-closings", "PUT /refund-rules", "PUT /refunds/{refund_id:uuid}/approval"),
        *("POST /exceptions/{exception_id:uuid}/settle", "POST /held-acts/{act_id:uuid}/undo"),
        # The gateway's job asks for it: the gateway has the entry of what led to the letter, if staff did it.
        "POST /letters/{letter_id:uuid}",
        # These change nothing.
        "POST /refunds/preview",
        *(f"POST /invoices/{{invoice_id:uuid}}/{verb}/preview" for verb in CORRECTIONS),
        *(f"PUT {EVIDENCE}", f"POST {EVIDENCE}/preview", f"POST {EVIDENCE}/submission"),
    }


CORRECTIONS = ("void", "credit-notes", "write-off", "correct")
EVIDENCE = "/disputes/{dispute_id:uuid}/evidence"
"""Written and submitted in `test_payment_evidence`; a preview changes nothing."""


async def entries(db: ServiceDb) -> list[tuple[str, str, int]]:
    """(role, action, seq) of each entry, without those of the installation itself."""
    rows = await db.admin.fetch(
        "SELECT role, action, seq FROM audit WHERE clinic_id <> $1 ORDER BY clinic_id, seq",
        audit.INSTALLATION,
    )
    return [(row["role"], row["action"], row["seq"]) for row in rows]


async def breaches(db: ServiceDb, anchors: dict[UUID, audit.Head] | None = None) -> list[Breach]:
    async with db.admin.acquire() as connection:
        return await audit.verify_chain(connection, anchors)


async def tamper(db: ServiceDb, statement: str) -> None:
    """Change the log with its triggers switched off, which only a superuser can do."""
    async with db.admin.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        changed = await connection.execute(statement)
    assert not changed.endswith(" 0"), changed


async def test_each_deed_of_the_public_api_leaves_one_entry_where_it_was_done(
    site: Site,
    db_gateway: ServiceDb,
    db_invoice: ServiceDb,
    db_payment: ServiceDb,
    db_notification: ServiceDb,
) -> None:
    clinic = await create_clinic(site)
    await put_account(site, clinic)
    client = await create_client(site, clinic)
    at = f"/clinics/{clinic['id']}"
    issued = await site.api("POST", f"{at}/invoices", json=taxed_invoice_body(client))
    staff = await site.api("POST", f"{at}/staff", json={"email": "s@example.com", "password": PASSWORD})
    key = await site.api("POST", f"{at}/api-keys", json={"name": "practice"})
    assert (issued.status_code, staff.status_code, key.status_code) == (201, 201, 201)
    both = await site.api("POST", f"{at}/invoices/bulk", json={"invoices": [taxed_invoice_body(client)] * 2})
    assert both.status_code == 201

    assert await entries(db_invoice) == [
        ("operator", "put_clinic", 1),
        ("operator", "put_client", 2),
        ("operator", "issue_invoice", 3),
        ("operator", "issue_invoice", 4),
        ("operator", "issue_invoice", 5),
    ]
    assert await entries(db_payment) == [("operator", "put_account", 1)]
    assert await entries(db_notification) == [("operator", "put_contact", 1)]
    assert await entries(db_gateway) == [
        ("operator", "put_portal", 1),
        ("operator", "put_login", 2),
        ("operator", "put_login", 3),
        ("operator", "create_api_key", 4),
    ]
    for db in (db_gateway, db_invoice, db_payment, db_notification):
        assert await breaches(db) == []


async def test_a_repeat_leaves_no_second_entry(
    site: Site,
    db_gateway: ServiceDb,
    db_invoice: ServiceDb,
    db_payment: ServiceDb,
    db_notification: ServiceDb,
) -> None:
    async def everything() -> None:
        made = await site.api("POST", "/clinics", json=CLINIC, headers={"Idempotency-Key": "clinic"})
        at = f"/clinics/{made.json()['id']}"
        client = await site.api("POST", f"{at}/clients", json=CLIENT, headers={"Idempotency-Key": "client"})
        body = taxed_invoice_body(client.json())
        issued = await site.api("POST", f"{at}/invoices", json=body, headers={"Idempotency-Key": "bill"})
        staff = {"email": "s@example.com", "password": PASSWORD}
        let_in = await site.api("POST", f"{at}/staff", json=staff, headers={"Idempotency-Key": "staff"})
        assert (issued.status_code, let_in.status_code) == (201, 201)

    databases = (db_gateway, db_invoice, db_payment, db_notification)
    await everything()
    before = [await entries(db) for db in databases]
    await everything()
    assert [await entries(db) for db in databases] == before


async def test_a_change_leaves_an_entry_that_goes_on_from_the_one_before(world: InvoiceService) -> None:
    for name in ("Ada Byrne", "Ada Byrne", "Ada Kelly"):
        path = f"/clients/{world.client_id}"
        answer = await world.http.call("PATCH", path, world.staff, json={"name": name})
        assert answer.status_code == 200
    rows = await world.db.admin.fetch(
        "SELECT actor, before_hash, after_hash FROM audit WHERE subject_id = $1 ORDER BY seq", world.client_id
    )
    assert [row["actor"] for row in rows] == [world.staff.subject] * 3
    assert rows[0]["before_hash"] is None
    assert [row["before_hash"] for row in rows[1:]] == [row["after_hash"] for row in rows[:-1]]


async def test_the_log_holds_nothing_personal(
    site: Site, db_gateway: ServiceDb, db_invoice: ServiceDb
) -> None:
    clinic = await create_clinic(site)
    await create_client(site, clinic, name="Canary Name", email="canary@example.com")
    for db in (db_gateway, db_invoice):
        text = await db.admin.fetchval("SELECT string_agg(audit::text, ' ') FROM audit")
        assert "anary" not in text and PASSWORD not in text and OPERATOR_KEY not in text


async def test_names_and_addresses_cannot_be_tried_against_the_log(
    site: Site, db_gateway: ServiceDb, db_invoice: ServiceDb, db_notification: ServiceDb
) -> None:
    """With its row the log proves what a client was; the salt goes with the row's name, and with a contact."""
    clinic = await create_clinic(site)
    given = {"name": "Canary Name", "email": "canary@example.com", "login": None, "invite": True}
    client_id = UUID((await create_client(site, clinic, **given))["id"])
    clinic_id = UUID(clinic["id"])
    async with db_invoice.api.tx(clinic_id) as tx:
        client = await clients.get_client(tx, clinic_id, client_id)
    async with db_notification.api.tx(clinic_id) as tx:
        contact = await contacts.get_contact(tx, clinic_id, client_id)
    assert client is not None and contact is not None

    assert audit.state_hash(client) in await hashes(db_invoice)
    assert audit.state_hash(replace(client, salt=None)) not in await hashes(db_invoice)
    assert audit.state_hash(contact) in await hashes(db_notification)
    assert audit.state_hash(replace(contact, salt=None)) not in await hashes(db_notification)
    assert audit.state_hash("canary@example.com") not in await hashes(db_gateway)

    await db_invoice.admin.execute("UPDATE clients SET erase_after = current_date")
    await erasures.erase_due(db_invoice.worker)
    assert await db_invoice.admin.fetchval("SELECT salt FROM clients") is None


async def hashes(db: ServiceDb) -> set[bytes]:
    return {row["after_hash"] for row in await db.admin.fetch("SELECT after_hash FROM audit")}


async def test_a_refused_deed_leaves_nothing(world: InvoiceService) -> None:
    before = await entries(world.db)
    wrong = await world.post_invoice({"client_id": str(new_id()), "due_on": "2099-01-01", "lines": []})
    assert wrong.status_code >= 400
    assert await entries(world.db) == before


async def test_staff_who_sign_in_are_noted_and_clients_are_not(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway) as site:
        oak = await a_portal(site.db)
        await a_login(site.db, oak, "ann@example.com")
        await a_login(site.db, oak, "sam@example.com", role="staff")
        for email in ("ann@example.com", "sam@example.com"):
            assert (await site.log_in(email)).status_code == 303
            site.client.cookies.clear()
    deeds = [(role, action) for role, action, _ in await entries(db_gateway)]
    assert deeds.count(("staff", "sign_in")) == 1
    assert [deed for deed in deeds if deed[1] == "sign_in"] == [("staff", "sign_in")]


async def test_the_first_operators_key_stands_in_the_installations_own_chain(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway):
        pass
    rows = await db_gateway.admin.fetch("SELECT clinic_id, action FROM audit")
    assert [tuple(row) for row in rows] == [(audit.INSTALLATION, "create_api_key")]


async def test_deeds_at_the_same_time_make_one_chain(world: InvoiceService) -> None:
    staff = [a_caller("staff", world.clinic_id) for _ in range(20)]
    bodies = [{"name": f"Client {number}"} for number in range(len(staff))]
    answers = await asyncio.gather(
        *(
            world.http.call("POST", f"/clients/{new_id()}", who, json=body)
            for who, body in zip(staff, bodies, strict=True)
        ),
        *(world.post_invoice({**a_bill(world.client_id), "note": str(number)}) for number in range(10)),
    )
    assert {answer.status_code for answer in answers} == {201}
    assert [seq for _, _, seq in await entries(world.db)] == list(range(1, 33))
    assert await breaches(world.db) == []


async def test_the_same_deed_twice_at_once_is_one_entry(world: InvoiceService) -> None:
    client_id = new_id()
    body = {"name": "Ada Twin"}
    await asyncio.gather(
        *(world.http.call("POST", f"/clients/{client_id}", world.staff, json=body) for _ in range(10))
    )
    count = await world.db.admin.fetchval("SELECT count(*) FROM audit WHERE subject_id = $1", client_id)
    assert count == 1


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET role = 'staff'", "DELETE FROM audit", "TRUNCATE audit"]
)
async def test_even_a_superuser_is_refused(world: InvoiceService, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await world.db.admin.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM audit",
        "SELECT * FROM audit_heads",
        "UPDATE audit_heads SET seq = 1",
        "DELETE FROM audit",
        "INSERT INTO audit (clinic_id, seq, at, actor, role, action, subject_id, hash)"
        " SELECT id, 9, now(), id, 'staff', 'x', id, sha256('') FROM clinics",
    ],
)
async def test_the_applications_role_can_only_add(world: InvoiceService, statement: str) -> None:
    async with world.db.api.tx(world.clinic_id) as tx:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.execute(statement)


async def test_nobody_writes_into_another_clinics_chain(world: InvoiceService) -> None:
    other, _ = await world.add_clinic("other")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with world.db.api.tx(other) as tx:
            await audit.record(tx, world.staff, "put_client", new_id(), None, "x")


@pytest.mark.parametrize(
    ("statement", "seq", "reason"),
    [
        ("UPDATE audit SET actor = gen_random_uuid() WHERE seq = 2", 2, "changed"),
        ("UPDATE audit SET at = at - interval '1 day' WHERE seq = 2", 2, "changed"),
        ("UPDATE audit SET after_hash = sha256('') WHERE seq = 2", 2, "changed"),
        ("UPDATE audit SET hash = sha256('') WHERE seq = 2", 2, "changed"),
        ("DELETE FROM audit WHERE seq = 2", 2, "missing"),
        ("DELETE FROM audit WHERE seq = 1", 1, "missing"),
        ("DELETE FROM audit WHERE seq = 4", 4, "not the end that was written"),
        ("DELETE FROM audit WHERE seq >= 1", 1, "not the end that was written"),
        ("DELETE FROM audit_heads", 5, "not the end that was written"),
        (
            "INSERT INTO audit SELECT clinic_id, 5, at, actor, role, action, subject_id, before_hash,"
            " after_hash, trace_id, hash FROM audit WHERE seq = 4",
            5,
            "changed",
        ),
    ],
)
async def test_what_a_superuser_changes_is_found(
    world: InvoiceService, statement: str, seq: int, reason: str
) -> None:
    for _ in range(2):
        await world.issue()
    assert await breaches(world.db) == []
    await tamper(world.db, statement)
    assert await breaches(world.db) == [Breach(world.clinic_id, seq, reason)]


async def test_a_chain_written_anew_is_found_by_an_anchor_kept_elsewhere(
    world: InvoiceService, db_invoice: ServiceDb
) -> None:
    await world.issue()
    async with db_invoice.admin.acquire() as connection:
        anchors = await audit.heads(connection)
    await world.issue()
    assert await breaches(world.db, anchors) == []

    await tamper(world.db, "DELETE FROM audit")
    await tamper(world.db, "UPDATE audit_heads SET seq = 0, hash = decode(repeat('00', 32), 'hex')")
    assert await breaches(world.db) == []
    assert await breaches(world.db, anchors) == [Breach(world.clinic_id, 1, "missing")]
    for _ in range(4):
        await world.issue()
    assert await breaches(world.db) == []
    assert await breaches(world.db, anchors) == [Breach(world.clinic_id, 3, "not the one that was anchored")]
