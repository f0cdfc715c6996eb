"""Tax numbers, references and other programs' ids: frozen with the document, unique, found, erased with the name."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from services.chassis.ids import new_id
from services.invoice.erasures import actions
from tests.builders.callers import a_caller
from tests.builders.clinics import TAX_RATES
from tests.builders.invoices import invoice_body, line_body
from tests.running.databases import ServiceDb
from tests.running.invoice import CLINIC, InvoiceService, add_client, an_invoice_service, put

REVERSE = {"code": "AE", "name": "VAT", "percent": "0", "category": "AE", "exemption_code": "VATEX-EU-AE"}
SETTINGS = CLINIC | {
    "tax_number": "IE1234567T",
    "external_id": "branch-7",
    "metadata": {"region": "west"},
    "tax_rates": [*TAX_RATES, REVERSE],
}
CLIENT = {"tax_number": "IE7654321T", "external_id": "patient-4711", "metadata": {"plan": "gold"}}
INVOICE: dict[str, Any] = {
    "insurer_reference": "Claim 99/2026",
    "location": "Quay Street",
    "external_id": "visit-12",
    "metadata": {"episode": "3"},
}


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        await put(made.http, f"/clinics/{made.clinic_id}", made.operator, SETTINGS)
        await change_client(made, CLIENT)
        yield made


async def change_client(world: InvoiceService, patch: dict[str, Any]) -> Any:
    answer = await world.http.call("PATCH", f"/clients/{world.client_id}", world.staff, json=patch)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_document_keeps_the_numbers_and_references_that_it_shows(world: InvoiceService) -> None:
    issued = await world.issue(**INVOICE)
    await put(world.http, f"/clinics/{world.clinic_id}", world.operator, SETTINGS | {"tax_number": "IE9"})
    await change_client(world, {"tax_number": None, "metadata": {"plan": None, "since": "2026"}})
    shown = await world.get(f"/invoices/{issued['id']}", world.client)

    assert shown == issued
    assert {name: shown[name] for name in INVOICE} == INVOICE
    assert (shown["seller"]["tax_number"], shown["bill_to"]["tax_number"]) == ("IE1234567T", "IE7654321T")
    client = await world.get(f"/clients/{world.client_id}")
    assert (client["tax_number"], client["metadata"]) == ("", {"since": "2026"})


async def test_an_external_id_finds_its_object_at_its_clinic_alone(world: InvoiceService) -> None:
    invoice = await world.issue(**INVOICE)
    found = {
        path: (await world.get(path, caller))["items"]
        for path, caller in (
            ("/clinics?external_id=branch-7", world.operator),
            ("/clinics?external_id=gone", world.operator),
            ("/clients?external_id=patient-4711", world.staff),
            ("/clients?external_id=gone", world.staff),
            ("/invoices?external_id=visit-12", world.staff),
            ("/invoices?external_id=gone", world.staff),
        )
    }

    assert [[each["id"] for each in items] for items in found.values()] == [
        [str(world.clinic_id)],
        [],
        [str(world.client_id)],
        [],
        [invoice["id"]],
        [],
    ]


async def test_an_external_id_is_one_objects_alone(world: InvoiceService) -> None:
    await world.issue(**INVOICE)
    other_clinic, other_client = await world.add_clinic("other")
    elsewhere = a_caller("staff", other_clinic)
    second = CLINIC | {"slug": "third", "external_id": "branch-7"}
    answers = [
        await world.http.call("PUT", f"/clinics/{new_id()}", world.operator, json=second),
        await world.http.call(
            "POST", f"/clients/{new_id()}", world.staff, json={"name": "Ben", "external_id": "patient-4711"}
        ),
        await world.post_invoice(invoice_body(world.client_id, **INVOICE)),
    ]
    refused = [(answer.status_code, answer.json()["code"]) for answer in answers]

    assert refused == [(409, "external_id_taken")] * 3
    await add_client(world.http, new_id(), elsewhere, external_id="patient-4711")
    there = await world.post_invoice(invoice_body(other_client, external_id="visit-12"), caller=elsewhere)
    assert there.status_code == 201
    [number] = await world.db.admin.fetch(
        "SELECT last_number FROM invoice_counters WHERE clinic_id = $1", world.clinic_id
    )
    assert number["last_number"] == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"external_id": ""}, "invalid_text"),
        ({"external_id": "x" * 201}, "invalid_text"),
        ({"metadata": {str(at): "x" for at in range(21)}}, "invalid_metadata"),
        ({"metadata": {"x" * 41: "y"}}, "invalid_text"),
        ({"metadata": {"": "y"}}, "invalid_text"),
        ({"metadata": {"x": "y" * 501}}, "invalid_text"),
        ({"metadata": {"x ": "1", "x": "2"}}, "invalid_metadata"),
        ({"metadata": {"x": 1}}, "request_invalid"),
        ({"location": "x" * 201}, "invalid_text"),
        ({"insurer_reference": "a\nb"}, "invalid_text"),
    ],
)
async def test_what_cannot_be_kept_is_refused(
    world: InvoiceService, changes: dict[str, Any], code: str
) -> None:
    answer = await world.post_invoice(invoice_body(world.client_id, **changes))

    assert answer.json()["code"] == code


async def test_a_tax_that_the_buyer_owes_needs_both_tax_numbers(world: InvoiceService) -> None:
    body = invoice_body(world.client_id, lines=[line_body(tax_code="AE")])
    issued = await world.post_invoice(body)
    await change_client(world, {"tax_number": None})
    refused = await world.post_invoice(body)

    assert issued.status_code == 201
    assert (refused.status_code, refused.json()["code"]) == (422, "tax_number_missing")


async def test_what_may_name_a_person_is_erased_with_the_name(world: InvoiceService) -> None:
    invoice = await world.issue(0, **INVOICE)
    for table in ("invoice_identities", "clients"):
        await world.db.admin.execute(f"UPDATE {table} SET erase_after = current_date")
    await actions.erase_due(world.db.worker)
    shown = await world.get(f"/invoices/{invoice['id']}")
    client = await world.get(f"/clients/{world.client_id}")

    assert (shown["bill_to"]["tax_number"], shown["insurer_reference"], shown["metadata"]) == ("", "", {})
    assert (client["tax_number"], client["external_id"], client["metadata"]) == ("", None, {})
    with pytest.raises(asyncpg.CheckViolationError):
        await world.db.admin.execute("UPDATE invoice_identities SET insurer_reference = 'Claim 99/2026'")
