"""Issuing sets of invoices over HTTP, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.events.invoice import InvoiceCreated
from contracts.http.invoices import InvoiceIn
from services.chassis import audit
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.invoice.clinics.actions import get_clinic
from services.invoice.invoices import store
from services.invoice.invoices.drafts import price_draft
from services.invoice.invoices.schemas import draft_of
from tests.builders.callers import a_caller
from tests.builders.events import outbox_events
from tests.builders.invoices import invoice_body
from tests.running.databases import ServiceDb
from tests.running.invoice import InvoiceService, an_invoice_service

LAST_YEAR = datetime.now(UTC).year - 1


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


async def post(
    world: InvoiceService, *bodies: Any, key: str | None = None, caller: Caller | None = None
) -> Any:
    headers = {"Idempotency-Key": key or str(new_id())}
    body = {"invoices": bodies}
    return await world.http.call("POST", "/invoices/bulk", caller or world.staff, json=body, headers=headers)


async def counted(world: InvoiceService) -> dict[str, int]:
    tables = ("invoices", "invoice_lines", "invoice_counters", "outbox", "audit", "idempotency_keys")
    return {table: await world.db.admin.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


async def test_a_set_is_issued_in_its_order_with_an_event_and_an_entry_each(world: InvoiceService) -> None:
    before = await counted(world)
    bodies = [invoice_body(world.client_id, 100 + at) for at in range(100)]
    answer = await post(world, *bodies)
    invoices = answer.json()["invoices"]

    assert answer.status_code == 201
    assert [invoice["total"]["minor"] for invoice in invoices] == [100 + at for at in range(100)]
    assert [int(invoice["number"][5:]) for invoice in invoices] == list(range(1, 101))
    events = [event for event in await outbox_events(world.db) if isinstance(event, InvoiceCreated)]
    assert [(str(event.invoice_id), event.number, event.total.minor, event.version) for event in events] == [
        (invoice["id"], invoice["number"], invoice["total"]["minor"], 1) for invoice in invoices
    ]
    after = await counted(world)
    assert {table: after[table] - before[table] for table in after} == {
        "invoices": 100,
        "invoice_lines": 100,
        "invoice_counters": 1,
        "outbox": 100,
        "audit": 100,
        "idempotency_keys": 1,
    }
    entries = await world.db.admin.fetch("SELECT action, subject_id FROM audit ORDER BY seq DESC LIMIT 100")
    assert [(entry["action"], str(entry["subject_id"])) for entry in reversed(entries)] == [
        ("issue_invoice", invoice["id"]) for invoice in invoices
    ]
    async with world.db.admin.acquire() as connection:
        assert await audit.verify_chain(connection) == []


async def test_one_entry_is_that_of_the_same_invoice_issued_alone(world: InvoiceService) -> None:
    """The log's hash is over the invoice as the service decided it, not over a body, and the same in both ways."""
    body = invoice_body(world.client_id)
    [in_a_set] = (await post(world, body)).json()["invoices"]
    alone = (await world.post_invoice(body)).json()
    for issued in (in_a_set, alone):
        invoice_id = UUID(issued["id"])
        kept = await world.db.admin.fetchval("SELECT after_hash FROM audit WHERE subject_id = $1", invoice_id)
        async with world.db.worker.worker_tx() as tx:
            invoices = await store.lock_invoices(tx, [(world.clinic_id, invoice_id)])
        invoice = invoices[world.clinic_id, invoice_id]
        async with world.db.api.tx(world.clinic_id) as tx:
            clinic = await get_clinic(tx, world.clinic_id)
        draft = price_draft(draft_of(msgspec.convert(body, InvoiceIn)), clinic, invoice.changed_at)

        assert kept == audit.state_hash((invoice, draft))


async def test_an_external_id_that_is_taken_is_named_with_its_invoice(world: InvoiceService) -> None:
    """By an invoice of the clinic, or by another of the set; blanks around an id do not count."""
    await world.issue(external_id="A")
    before = await counted(world)

    ids = ("B", " A ", "C", "B ")
    refused = await post(world, *(invoice_body(world.client_id, 100, external_id=each) for each in ids))

    assert (refused.status_code, refused.json()["code"]) == (422, "invoices_refused")
    assert [(each["position"], each["code"], each["pointer"]) for each in refused.json()["errors"]] == [
        (at, "external_id_taken", f"/invoices/{at}/external_id") for at in (1, 3)
    ]
    assert await counted(world) == before


line = st.fixed_dictionaries(
    {
        "service": st.sampled_from(["Physiotherapy", "Tape", "Massage"]),
        "practitioner": st.sampled_from(["", "A. Byrne"]),
        "quantity": st.sampled_from(["1", "0.333", "1.5", "2.00", "999.999"]),
        "unit_price": st.integers(1, 99_999).map(lambda minor: {"minor": minor, "currency": "EUR"}),
        "tax_code": st.sampled_from(["STD", "NONE"]),
        "appointment": st.sampled_from([None, {"starts_at": "2026-11-20T09:30:00+01:00", "place": "Room 2"}]),
    }
)
asked = st.fixed_dictionaries(
    {
        "lines": st.lists(line, min_size=1, max_size=5),
        "note": st.sampled_from(["", "Thank you"]),
        "issued_on": st.sampled_from([f"{LAST_YEAR}-06-30", f"{LAST_YEAR}-12-31"]),
        "due_on": st.sampled_from([f"{LAST_YEAR}-12-31", "2031-01-01"]),
    }
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(asked, min_size=1, max_size=8))
async def test_a_set_is_the_same_as_its_invoices_one_by_one(world: InvoiceService, bodies: list[Any]) -> None:
    bodies = [body | {"client_id": str(world.client_id)} for body in bodies]
    in_bulk = [
        await world.get(f"/invoices/{row['id']}") for row in (await post(world, *bodies)).json()["invoices"]
    ]
    one_by_one = [(await world.post_invoice(body)).json() for body in bodies]

    assert [_but_names(invoice) for invoice in in_bulk] == [_but_names(invoice) for invoice in one_by_one]
    assert one_by_one == [await world.get(f"/invoices/{invoice['id']}") for invoice in one_by_one]


def _but_names(invoice: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in invoice.items() if name not in ("id", "number", "updated_at")}


async def test_the_rows_are_those_of_the_list(world: InvoiceService) -> None:
    issued = (await post(world, *(invoice_body(world.client_id) for _ in range(3)))).json()["invoices"]

    listed = (await world.get("/invoices"))["items"]
    assert sorted(listed, key=lambda row: row["number"]) == issued


async def test_one_that_cannot_be_issued_stops_all_and_each_is_named(world: InvoiceService) -> None:
    before = await counted(world)
    good = invoice_body(world.client_id)
    bad_line = good["lines"][0] | {"tax_code": "GONE"}
    answer = await post(
        world,
        good,
        invoice_body(world.client_id, lines=[good["lines"][0], bad_line]),
        good,
        invoice_body(new_id()),
        invoice_body(world.client_id, lines=[good["lines"][0] | {"quantity": "-1"}]),
        key="k1",
    )
    problem = answer.json()

    assert (answer.status_code, problem["code"]) == (422, "invoices_refused")
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(error["position"], error["code"], error["field"]) for error in problem["errors"]] == [
        (1, "unknown_tax_code", "lines.1.tax_code"),
        (3, "client_not_found", "client_id"),
        (4, "nothing_to_pay", "lines"),
    ]
    assert await counted(world) == before
    again = await post(world, good, key="k1")
    assert [row["number"][5:] for row in again.json()["invoices"]] == ["000001"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"invoices": []},
        {"invoices": None},
        {"invoices": {}},
        {"invoices": [None]},
        {"invoices": [invoice_body(UUID(int=1))] * 101},
        {"invoices": [invoice_body(UUID(int=1)) | {"status": "paid"}]},
        {"invoices": [invoice_body(UUID(int=1))], "clinic_id": str(UUID(int=1))},
    ],
)
async def test_a_bad_body_is_refused(world: InvoiceService, body: Any) -> None:
    headers = {"Idempotency-Key": "k1"}
    answer = await world.http.call("POST", "/invoices/bulk", world.staff, json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")


async def test_a_repeat_has_the_first_answer_and_makes_nothing(world: InvoiceService) -> None:
    bodies = [invoice_body(world.client_id, 100 + at) for at in range(5)]
    answers = await asyncio.gather(*(post(world, *bodies, key="k1") for _ in range(6)))
    other = await post(world, *bodies[:4], key="k1")

    assert [answer.json() for answer in answers] == [answers[0].json()] * 6
    assert await world.db.admin.fetchval("SELECT count(*) FROM invoices") == 5
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_sets_and_single_ones_at_once_leave_no_gap_and_never_wait_for_each_other(
    world: InvoiceService,
) -> None:
    """Sets over two years in opposite orders, sets that fail after others took numbers, and single ones."""
    good = invoice_body(world.client_id)
    old = good | {"issued_on": f"{LAST_YEAR}-06-30"}
    sets = [[good, old, old, good], [old, good, good], [good, invoice_body(new_id())], [old] * 7]
    answers = await asyncio.gather(
        *(post(world, *bodies) for _ in range(6) for bodies in sets),
        *(world.post_invoice(body) for body in [good, old] * 6),
    )

    assert sorted({answer.status_code for answer in answers}) == [201, 422]
    rows = await world.db.admin.fetch("SELECT number FROM invoices ORDER BY number")
    numbers: dict[str, list[int]] = {}
    for row in rows:
        numbers.setdefault(row["number"][:4], []).append(int(row["number"][5:]))
    assert {year: count == list(range(1, len(count) + 1)) for year, count in numbers.items()} == {
        str(LAST_YEAR): True,
        str(LAST_YEAR + 1): True,
    }
    assert (len(numbers[str(LAST_YEAR)]), len(numbers[str(LAST_YEAR + 1)])) == (6 * 10 + 6, 6 * 4 + 6)


async def test_only_the_clinics_desk_issues_sets_and_for_its_own_clients(world: InvoiceService) -> None:
    clinic_id, client_id = await world.add_clinic("other")
    before = await counted(world)
    theirs = await post(world, invoice_body(client_id))
    at_theirs = await post(world, invoice_body(world.client_id), caller=a_caller("staff", clinic_id))
    by_client = await post(world, invoice_body(world.client_id), caller=world.client)

    assert [answer.json()["errors"][0]["code"] for answer in (theirs, at_theirs)] == ["client_not_found"] * 2
    assert by_client.status_code == 403
    assert await counted(world) == before
