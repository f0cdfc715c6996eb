"""Personal and medical data stays in the databases and on its client's own pages.

Each such field of a client and an invoice holds a unique word, a canary. The tests walk through the running system,
with a decline and with errors, and then search for canaries wherever none may be.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.events import topics
from deploy.local.demo.visitor import Visitor
from deploy.ops.verify.access import Access
from services.chassis.ids import new_id
from tests.builders.clinics import clinic_body
from tests.builders.payments import a_settlement
from tests.builders.values import money
from tests.running.gateway import PASSWORD
from tests.running.system import Running, running, until

MARK = "canary7f3"
Ask = tuple[str, str, Any, dict[str, str]]
"""Method, address, body as JSON, headers."""
OPERATOR = {"Authorization": "Bearer demo-operator-key"}


def canary(field: str) -> str:
    return f"{MARK}{field}"


EMAIL = f"{canary('email')}@example.com"
CLIENT: dict[str, Any] = {
    "name": f"Ann {canary('name')}",
    "email": EMAIL,
    "login": {"password": PASSWORD},
    "billing_address": {
        "lines": [f"1 {canary('street')} Road"],
        "postcode": canary("code"),
        "city": canary("city"),
        "country": "IE",
    },
}
APPOINTMENT = {"starts_at": "2026-11-02T10:00:00Z", "place": f"Room {canary('place')}"}


def an_invoice(client_id: str) -> dict[str, Any]:
    line = {
        "service": f"{canary('service')} therapy",
        "practitioner": f"Dr {canary('practitioner')}",
        "appointment": APPOINTMENT,
        "unit_price": {"minor": 12_500, "currency": "EUR"},
        "tax_code": "exempt",
    }
    due_on = (datetime.now(UTC) + timedelta(days=14)).date().isoformat()
    return {"client_id": client_id, "due_on": due_on, "lines": [line], "note": f"about {canary('note')}"}


@dataclass
class Walk:
    """The result of the walk: the system, its directory, and every error answer."""

    system: Running
    data: Path
    access: Access
    clinic_id: str
    invoice: dict[str, Any]
    errors: list[httpx2.Response]


@pytest.fixture(scope="module")
async def walk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Walk]:
    data = tmp_path_factory.mktemp("canaries") / "data"
    async with running(data) as system:
        clinics = (await system.api("GET", "/clinics"))["items"]
        clinic = next(each["id"] for each in clinics if each["slug"] == "harbour")
        client = await system.api("POST", f"/clinics/{clinic}/clients", CLIENT, key="canary-client")
        invoice = await system.api(
            "POST", f"/clinics/{clinic}/invoices", an_invoice(client["id"]), key="canary-invoice"
        )
        made = Walk(system, data, Access.of_data(data), clinic, invoice, [])
        await _pay(made)
        await _park(made)
        await _err(made)
        yield made


async def _pay(walk: Walk) -> None:
    """Visit every page; pay with a declined card, then with a saved one; open the receipt."""
    path = f"/c/harbour/invoices/{walk.invoice['id']}"
    async with Visitor(walk.system.url) as client:
        await client.log_in(EMAIL, PASSWORD)
        shown = "".join([await client.page(f"{path}{part}") for part in ("", "/pay")])
        assert canary("service") in shown and canary("practitioner") in shown, "the canaries are alive"
        begun = await client.pay("harbour", walk.invoice["id"], walk.invoice["due"], save=True)
        with pytest.raises(Exception, match="card_declined"):
            await walk.system.confirm(begun, "pm_card_chargeDeclined")
        begun = await client.pay("harbour", walk.invoice["id"], walk.invoice["due"], save=True)
        await walk.system.confirm(begun)
        await until(lambda: _is_paid(walk))
        for page in (f"payments/{begun['payment_id']}", "billing", "methods", "help?q=" + canary("search")):
            await client.page(f"/c/harbour/{page}")
    await until(lambda: _mails(walk), 60)


async def _is_paid(walk: Walk) -> bool:
    path = f"/clinics/{walk.clinic_id}/invoices/{walk.invoice['id']}"
    return bool((await walk.system.api("GET", path))["status"] == "paid")


async def _park(walk: Walk) -> None:
    """Park a movement that does not fit its invoice, and a record that is no event and holds canaries."""
    wrong = a_settlement(UUID(walk.clinic_id), UUID(walk.invoice["id"]), money(1, "JPY"))
    nonsense = json.dumps({"name": canary("name"), "invoice_id": canary("note")}).encode()
    producer = AIOKafkaProducer(bootstrap_servers=walk.access.kafka)
    await producer.start()
    try:
        topic = wrong.topic.name
        await producer.send_and_wait(topic, wrong.encode(), key=str(wrong.key).encode())
        await producer.send_and_wait(topic, nonsense, key=str(new_id()).encode(), partition=0)
    finally:
        await producer.stop()
    await until(lambda: _parked_rows(walk, "invoice", 2))


async def _err(walk: Walk) -> None:
    """Cause errors of every kind, each with a canary in the request."""
    async with httpx2.AsyncClient(base_url=walk.system.url, timeout=20) as http:
        for method, path, body, headers in [*_bad_bodies(walk), *_bad_addresses(walk)]:
            walk.errors.append(await http.request(method, path, json=body, headers=headers))


def _bad_bodies(walk: Walk) -> Iterator[Ask]:
    clinic = f"/api/v1/clinics/{walk.clinic_id}"
    key = {**OPERATOR, "Idempotency-Key": "canary-errors"}
    invoice = an_invoice(walk.invoice["client_id"])
    for changed in (
        *({"client_id": canary("name")}, {"due_on": canary("note")}, {"note": [canary("note")]}),
        *({"lines": canary("service")}, {"currency": canary("name")}),
    ):
        yield "POST", f"{clinic}/invoices", {**invoice, **changed}, key
    for changed in ({"email": canary("email")}, {"language": canary("name")}, {"name": canary("x") * 50}):
        yield "POST", f"{clinic}/clients", {**CLIENT, **changed}, key
    # The idempotency key of the invoice.
    again = {**key, "Idempotency-Key": "canary-invoice"}
    yield "POST", f"{clinic}/invoices", {**invoice, "note": "other"}, again
    clinic_in = clinic_body(slug="x", name="x")
    for changed in ({"methods": [canary("note")]}, {"time_zone": canary("zone")}, {"slug": canary("Slug")}):
        yield "POST", "/api/v1/clinics", {**clinic_in, **changed}, key
    yield "POST", "/webhooks/stripe", canary("hook"), {}


def _bad_addresses(walk: Walk) -> Iterator[Ask]:
    clinic = f"/api/v1/clinics/{walk.clinic_id}"
    for name in ("status", "cursor", "client_id", "limit"):
        yield "GET", f"{clinic}/invoices?{name}={canary('query')}", None, OPERATOR
    for path in (f"/c/{canary('slug')}", f"/{canary('page')}", f"/c/harbour/invoices/{canary('id')}"):
        for accept in ("text/html", "application/json"):
            yield "GET", f"{path}?q={canary('query')}", None, {"Accept": accept}


async def _mails(walk: Walk) -> list[dict[str, Any]]:
    """All e-mails to the client, complete, once the receipt is there."""
    async with httpx2.AsyncClient(base_url=walk.system.mailbox_url) as http:
        listed = (await http.get("/api/messages", params={"to": EMAIL})).json()
        items = listed["items"] if isinstance(listed, dict) else listed
        whole = [(await http.get(f"/api/messages/{each['id']}")).json() for each in items]
    to_client = [each for each in whole if EMAIL in json.dumps(each)]
    return to_client if any("eceipt" in each["subject"] for each in to_client) else []


async def _parked_rows(walk: Walk, service: str, least: int = 0) -> list[Any]:
    connection = await asyncpg.connect(walk.access.databases[service])
    try:
        rows = await connection.fetch("SELECT * FROM parked ORDER BY id")
    finally:
        await connection.close()
    return rows if len(rows) >= least else []


async def test_no_log_holds_a_canary(walk: Walk) -> None:
    files = sorted((walk.data / "logs").iterdir())
    assert any(file.read_bytes().count(b"event_parked") for file in files), "errors were logged"
    assert [file.name for file in files if MARK.encode() in file.read_bytes()] == []
    assert [line for line in walk.system.output if MARK in line] == []


async def test_no_span_holds_a_canary(walk: Walk) -> None:
    await until(lambda: any(span.name == "send receipt" for span in walk.system.spans.all))
    assert [body for body in walk.system.spans.raw if MARK.encode() in body] == []


async def test_no_topic_holds_a_canary(walk: Walk) -> None:
    """Every record from the beginning, except the one that this test forged."""
    records = await _every_record(walk)
    forged = [
        record for record in records if MARK.encode() in b"".join(filter(None, (record.key, record.value)))
    ]
    assert len(records) > 10
    assert [(record.topic, b"specversion" in record.value) for record in forged] == [
        ("payment.settled", False)
    ]


async def _every_record(walk: Walk) -> list[Any]:
    names = [topic.name for topic in topics.ALL]
    consumer = AIOKafkaConsumer(*names, bootstrap_servers=walk.access.kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = sorted(consumer.assignment())
        assert {place.topic for place in places} == set(names)
        ends = await consumer.end_offsets(places)
        found: list[Any] = []
        while sum(ends.values()) > sum([await consumer.position(place) for place in places]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found += batch
        return found
    finally:
        await consumer.stop()


async def test_stripe_is_told_nothing_personal(walk: Walk) -> None:
    asked = (await walk.system.control("GET", "/requests"))["items"]
    assert len(asked) > 3
    assert [each for each in asked if MARK in json.dumps(each)] == []


async def test_e_mails_name_nobody_who_treats_and_nothing_that_was_done(walk: Walk) -> None:
    mails = await _mails(walk)
    assert mails
    for mail in mails:
        assert MARK not in mail["subject"]
        body = json.dumps({name: value for name, value in mail.items() if name != "to"})
        for field in ("service", "practitioner", "place", "note", "street", "city", "code"):
            assert canary(field) not in body, (mail["subject"], field)


async def test_parked_rows_say_why_without_what(walk: Walk) -> None:
    """The record is kept complete, so that it can be replayed; its reason quotes none of it."""
    rows = [
        row for service in ("invoice", "payment", "notification") for row in await _parked_rows(walk, service)
    ]
    assert {"wrong_currency", "undecodable"} <= {row["reason"] for row in rows}
    for row in rows:
        output = {name: str(value) for name, value in row.items() if name != "value"}
        assert MARK not in json.dumps(output), row["reason"]
        assert row["reason"] == "undecodable" or MARK.encode() not in row["value"]


async def test_no_error_says_back_what_was_sent(walk: Walk) -> None:
    assert len(walk.errors) > 15
    for answer in walk.errors:
        assert answer.status_code in {303, 400, 401, 404, 422}, (answer.url, answer.text)
        assert MARK not in answer.text, (answer.request.url.path, answer.text)


async def test_the_audit_log_holds_hashes_instead_of_words(walk: Walk) -> None:
    async def rows(service: str) -> list[Any]:
        connection = await asyncpg.connect(walk.access.databases[service])
        try:
            return list(await connection.fetch("SELECT * FROM audit"))
        finally:
            await connection.close()

    found = [row for rows_ in await asyncio.gather(*map(rows, walk.access.databases)) for row in rows_]
    assert found
    assert [row for row in found if MARK in str(dict(row))] == []
