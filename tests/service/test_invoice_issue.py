"""Issuing invoices over HTTP, on a real database."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from contracts.events.clinic import ClinicUpdated
from contracts.events.invoice import InvoiceCreated
from services.chassis.ids import new_id
from services.invoice import app
from tests.builders.callers import a_caller, token
from tests.builders.events import outbox_events
from tests.builders.invoices import invoice_body
from tests.builders.values import money
from tests.running.databases import ServiceDb
from tests.running.invoice import CLINIC, InvoiceService, an_invoice_service, put
from tests.running.settings import invoice_settings


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


async def created(world: InvoiceService) -> list[InvoiceCreated]:
    return [event for event in await outbox_events(world.db) if isinstance(event, InvoiceCreated)]


async def test_an_invoice_is_issued_whole(world: InvoiceService) -> None:
    lines = [
        {
            "service": "Physiotherapy",
            "practitioner": "A. Byrne",
            "appointment": {"starts_at": "2026-11-20T09:30:00+01:00", "place": "Room 2"},
            "quantity": "1.5",
            "unit_price": {"minor": 3333, "currency": "EUR"},
            "tax_code": "STD",
        },
        {"service": "Tape", "unit_price": {"minor": 500, "currency": "EUR"}, "tax_code": "NONE"},
    ]
    answer = await world.post_invoice(invoice_body(world.client_id, lines=lines, note="Thank you\nsee you"))
    invoice = answer.json()

    assert answer.status_code == 201
    assert answer.headers["location"] == f"/invoices/{invoice['id']}"
    assert invoice["number"].endswith("-000001")
    assert [line["net"]["minor"] for line in invoice["lines"]] == [5000, 500]
    assert invoice["lines"][0]["appointment"] == {"starts_at": "2026-11-20T08:30:00Z", "place": "Room 2"}
    assert (invoice["lines"][0]["quantity"], invoice["lines"][0]["tax_percent"]) == ("1.5", "23")
    assert [(tax["code"], tax["base"]["minor"], tax["tax"]["minor"]) for tax in invoice["taxes"]] == [
        ("STD", 5000, 1150),
        ("NONE", 500, 0),
    ]
    assert (invoice["subtotal"]["minor"], invoice["total"]["minor"], invoice["due"]["minor"]) == (
        5500,
        6650,
        6650,
    )
    assert (invoice["status"], invoice["methods"], invoice["paid_with"]) == (
        "unpaid",
        ["card", "redirect"],
        None,
    )
    assert invoice["service_summary"] == "Physiotherapy + 1"
    assert await world.get(f"/invoices/{invoice['id']}", world.client) == invoice


async def test_its_event_is_written_with_it_and_tells_nothing_medical(world: InvoiceService) -> None:
    invoice = await world.issue(12_500, note="PHI-CANARY-7f3")
    [event] = await created(world)

    assert (str(event.invoice_id), event.version, event.status) == (invoice["id"], 1, "unpaid")
    assert (event.total, event.due) == (money(12_500), money(12_500))
    raw = event.encode()
    assert not any(word in raw for word in (b"PHI-CANARY", b"Physio", b"Byrne", b"Nolan"))


async def test_the_same_key_and_body_have_the_first_answer(world: InvoiceService) -> None:
    body = invoice_body(world.client_id)
    first = await world.post_invoice(body, key="k1")
    again = await world.post_invoice(body, key="k1")

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert len(await created(world)) == 1


async def test_the_same_key_sent_at_once_makes_one_invoice(world: InvoiceService) -> None:
    body = invoice_body(world.client_id)
    answers = await asyncio.gather(*(world.post_invoice(body, key="k1") for _ in range(8)))

    assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
    assert len(await created(world)) == 1


async def test_a_key_with_another_body_is_refused(world: InvoiceService) -> None:
    await world.post_invoice(invoice_body(world.client_id, 100), key="k1")
    other = await world.post_invoice(invoice_body(world.client_id, 200), key="k1")

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_refused_request_does_not_use_up_its_key_or_a_number(world: InvoiceService) -> None:
    refused = await world.post_invoice(invoice_body(new_id()), key="k1")
    issued = await world.post_invoice(invoice_body(world.client_id), key="k1")

    assert (refused.status_code, refused.json()["code"]) == (404, "client_not_found")
    assert issued.json()["number"].endswith("-000001")


async def test_numbers_have_no_gap_whatever_happens_in_parallel(world: InvoiceService) -> None:
    """Twenty good requests between ten that fail after they took a number."""
    bodies = [invoice_body(new_id() if at % 3 == 2 else world.client_id) for at in range(30)]
    answers = await asyncio.gather(*(world.post_invoice(body) for body in bodies))

    numbers = sorted(answer.json()["number"] for answer in answers if answer.status_code == 201)
    assert [int(number[5:]) for number in numbers] == list(range(1, 21))


async def test_each_clinic_and_year_counts_on_its_own(world: InvoiceService) -> None:
    clinic_id, client_id = await world.add_clinic("other")
    last_year = f"{datetime.now(UTC).year - 1}-06-30"

    await world.issue()
    old = await world.issue(issued_on=last_year)
    elsewhere = await world.post_invoice(invoice_body(client_id), caller=a_caller("staff", clinic_id))

    assert old["number"] == f"{last_year[:4]}-000001"
    assert elsewhere.json()["number"].endswith("-000001")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"lines": []}, 422, "invalid_lines"),
        ({"currency": "XXX"}, 422, "unknown_currency"),
        ({"issued_on": "9999-01-01"}, 422, "invalid_issue_date"),
        ({"due_on": "2026-02-30"}, 400, "request_invalid"),
        ({"due_on": "1999-01-01"}, 422, "invalid_due_date"),
        ({"status": "paid"}, 400, "request_invalid"),
        ({"clinic_id": str(new_id())}, 400, "request_invalid"),
        ({"note": "a\x00b"}, 422, "invalid_text"),
        ({"client_id": "1"}, 400, "request_invalid"),
    ],
)
async def test_a_bad_request_is_refused_by_name(
    world: InvoiceService, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = await world.post_invoice(invoice_body(world.client_id) | changes)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("minor", [10.10, 1e400, "1.5", "", True, None, [], 10**20])
async def test_an_amount_that_is_no_integer_is_never_rounded(world: InvoiceService, minor: object) -> None:
    body = json.dumps(invoice_body(world.client_id, 12_345)).replace("12345", json.dumps(minor))
    headers = {"Idempotency-Key": "k1", "Content-Type": "application/json"}
    answer = await world.http.call("POST", "/invoices", world.staff, content=body, headers=headers)

    assert answer.status_code in (400, 422)


async def test_an_unknown_currency_is_refused_with_the_known_ones(world: InvoiceService) -> None:
    before = await world.get(f"/clinics/{world.clinic_id}")
    answer = await world.http.call(
        "PUT", f"/clinics/{world.clinic_id}", world.operator, json=CLINIC | {"currency": "BGN"}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_currency")
    assert "EUR" in answer.json()["currencies"]
    assert await world.get(f"/clinics/{world.clinic_id}") == before


@pytest.mark.parametrize(
    ("minor", "currency", "total", "rounding"),
    [
        (12_345, "KWD", 12_350, 5),
        (12_344, "KWD", 12_340, -4),
        (100_050, "MGA", 100_100, 50),
        (12_345, "EUR", 12_345, 0),
    ],
)
async def test_a_total_is_rounded_to_what_can_be_charged(
    world: InvoiceService, minor: int, currency: str, total: int, rounding: int
) -> None:
    invoice = await world.issue(minor, currency=currency)

    assert invoice["subtotal"]["minor"] == minor
    assert (invoice["total"]["minor"], invoice["due"]["minor"]) == (total, total)
    assert invoice["rounding"] == ({"minor": rounding, "currency": currency} if rounding else None)
    assert await world.get(f"/invoices/{invoice['id']}") == invoice
    assert [event.total for event in await created(world)] == [money(total, currency)]


@pytest.mark.parametrize(
    ("minor", "currency", "charge", "methods"),
    [
        (49, "EUR", "below_minimum", []),
        (50, "EUR", "possible", ["card", "redirect"]),
        (10**8 - 1, "EUR", "possible", ["card", "redirect"]),
        (10**8, "EUR", "possible", ["card"]),
        (10**12, "EUR", "above_maximum", []),
        (1_000, "ISK", "possible", ["card"]),
    ],
)
async def test_an_invoice_says_whether_its_amount_can_be_charged_and_how(
    world: InvoiceService, minor: int, currency: str, charge: str, methods: list[str]
) -> None:
    invoice = await world.issue(minor, currency=currency)

    assert (invoice["online_charge"], invoice["methods"]) == (charge, methods)
    [listed] = (await world.get("/invoices", world.client))["items"]
    assert (listed["online_charge"], listed["methods"]) == (charge, methods)


async def test_invoices_of_a_currency_that_has_gone_are_still_shown(world: InvoiceService) -> None:
    invoice = await world.issue()
    await world.db.admin.execute("UPDATE invoices SET currency = 'BGN'")
    await world.db.admin.execute("UPDATE clinics SET currency = 'BGN'")

    shown = await world.get(f"/invoices/{invoice['id']}", world.client)

    assert (shown["due"]["currency"], shown["methods"]) == ("BGN", [])
    assert shown["online_charge"] == "currency_not_accepted"


async def test_clients_issue_nothing(world: InvoiceService) -> None:
    answer = await world.post_invoice(invoice_body(world.client_id), caller=world.client)

    assert answer.status_code == 403


async def test_the_invoice_is_committed_before_the_answer_leaves(world: InvoiceService) -> None:
    """Looked at from another connection in the moment when the answer's head is sent."""
    api = app.api(invoice_settings(world.db.api_dsn))
    seen: list[int] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.append(await world.db.admin.fetchval("SELECT count(*) FROM invoices"))
            await send(message)

        await api(scope, receive, sending)

    headers = {"Authorization": f"Bearer {token('invoice', world.staff)}", "Idempotency-Key": "k1"}
    transport = httpx.ASGITransport(app=watched)
    async with httpx.AsyncClient(transport=transport, base_url="http://invoice") as http:
        answer = await http.post("/invoices", json=invoice_body(world.client_id), headers=headers)
    await api.state.db.close()

    assert (answer.status_code, seen) == (201, [1])


async def test_a_clinics_settings_make_an_event_only_when_they_change(world: InvoiceService) -> None:
    path = f"/clinics/{world.clinic_id}"
    same = await put(world.http, path, world.operator, CLINIC)
    changed = await put(world.http, path, world.operator, CLINIC | {"online_payment": False})

    events = [event for event in await outbox_events(world.db) if isinstance(event, ClinicUpdated)]
    assert (same["version"], changed["version"]) == (1, 2)
    assert [(event.version, event.online_payment) for event in events] == [(1, True), (2, False)]
    assert (await world.issue())["methods"] == []


async def test_clinics_put_on_at_once_are_one(world: InvoiceService) -> None:
    path = f"/clinics/{new_id()}"
    body = CLINIC | {"slug": "twice"}
    answers = await asyncio.gather(*(put(world.http, path, world.operator, body) for _ in range(5)))

    assert {answer["version"] for answer in answers} == {1}
    assert (await world.get("/clinics?slug=twice", world.operator))["items"] == [answers[0]]


async def test_a_slug_belongs_to_one_clinic(world: InvoiceService) -> None:
    answer = await world.http.call("PUT", f"/clinics/{new_id()}", world.operator, json=CLINIC)

    assert (answer.status_code, answer.json()["code"]) == (409, "slug_taken")


async def test_only_operators_put_clinics_on(world: InvoiceService) -> None:
    for caller in (world.staff, world.client):
        answer = await world.http.call("PUT", f"/clinics/{world.clinic_id}", caller, json=CLINIC)
        assert answer.status_code == 403


async def test_what_is_due_is_overdue_from_the_day_after(world: InvoiceService) -> None:
    today = datetime.now(UTC).date()
    week_ago = (today - timedelta(days=7)).isoformat()

    late = await world.issue(issued_on=week_ago, due_on=(today - timedelta(days=2)).isoformat())
    in_time = await world.issue(due_on=(today + timedelta(days=1)).isoformat())

    assert (late["overdue"], in_time["overdue"]) == (True, False)
