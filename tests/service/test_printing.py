"""Documents as PDF over HTTP: as they were issued, for their readers alone, once for a reader that keeps them."""

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
from facturx import get_xml_from_pdf
from pypdf import PdfReader

from services.chassis.ids import new_id
from tests.builders.callers import a_caller
from tests.builders.clinics import clinic_body
from tests.builders.invoices import invoice_body
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site
from tests.running.invoice import InvoiceService, an_invoice_service


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


def words(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


async def test_the_file_stays_as_it_was_issued(world: InvoiceService) -> None:
    invoice = await world.issue(note="Thank you")
    path = f"/invoices/{invoice['id']}/pdf"
    first = await world.http.call("GET", path, world.client)
    await world.change_clinic(name="Riverside Care", locale="de-DE", time_zone="Asia/Tokyo", prices="gross")
    await world.deliver(a_settlement(world.clinic_id, invoice["id"], eur(125)))

    again = await world.http.call("GET", path, world.staff)

    assert (await world.get(f"/invoices/{invoice['id']}"))["status"] == "paid"
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]
    text = words(first.content)
    assert invoice["number"] in text and "Thank you" in text and "€125.00" in text and "Ada Nolan" in text


async def test_a_reader_keeps_the_file_and_asks_about_it(world: InvoiceService) -> None:
    invoice = await world.issue()
    path = f"/invoices/{invoice['id']}/pdf"
    first = await world.http.call("GET", path, world.client)
    tag = first.headers["etag"]

    assert first.status_code == 200
    assert first.headers["content-type"] == "application/pdf"
    assert first.headers["cache-control"] == "private, no-cache"
    assert f'filename="Invoice-{invoice["number"]}.pdf"' in first.headers["content-disposition"]
    for known in (tag, f'W/{tag}, "other"', "*"):
        kept = await world.http.call("GET", path, world.client, headers={"If-None-Match": known})
        assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", tag)
    other = await world.http.call("GET", path, world.client, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


async def test_another_clients_invoice_is_not_found(world: InvoiceService) -> None:
    invoice = await world.issue()
    path, other = f"/invoices/{invoice['id']}/pdf", (await world.add_clinic("other"))[0]
    for caller in (a_caller("client", world.clinic_id), a_caller("staff", other)):
        refused = await world.http.call("GET", path, caller, headers={"If-None-Match": "*"})
        assert (refused.status_code, refused.json()["code"]) == (404, "invoice_not_found")
    missing = await world.http.call("GET", f"/invoices/{new_id()}/pdf", world.staff)
    assert missing.status_code == 404


async def a_clinic_with_an_invoice(site: Site) -> tuple[Any, Any]:
    clinic = (await site.api("POST", "/clinics", json=clinic_body())).json()
    client = {"name": "Una Doyle", "email": "una@example.com", "login": {"password": PASSWORD}}
    who = (await site.api("POST", f"/clinics/{clinic['id']}/clients", json=client)).json()
    answer = await site.api("POST", f"/clinics/{clinic['id']}/invoices", json=invoice_body(who["id"]))
    assert answer.status_code == 201, answer.text
    return clinic, answer.json()


async def test_the_portal_and_the_api_give_the_same_file(site: Site) -> None:
    clinic, invoice = await a_clinic_with_an_invoice(site)
    path = f"/clinics/{clinic['id']}/invoices/{invoice['id']}/pdf"
    by_key = await site.api("GET", path)
    await site.log_in("una@example.com")

    page = await site.get(f"/c/{clinic['slug']}/invoices/{invoice['id']}")
    link = f"/c/{clinic['slug']}/invoices/{invoice['id']}/pdf"
    assert f'href="{link}"' in page.text
    saved = await site.get(link)

    assert saved.status_code == by_key.status_code == 200
    assert saved.content == by_key.content and "Una Doyle" in words(saved.content)
    for answer in (saved, by_key):
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
    kept = await site.api("GET", path, headers={"If-None-Match": by_key.headers["etag"]})
    assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", by_key.headers["etag"])
    assert (await site.api("GET", f"/clinics/{clinic['id']}/invoices/{new_id()}/pdf")).status_code == 404


ADDRESS = {"lines": ["12 Quay Street"], "postcode": "D02 X285", "city": "Dublin", "country": "IE"}
"""In parts, as e-invoices need it."""


async def test_a_clinic_with_e_invoices_gives_them_in_the_pdf_and_alone(site: Site) -> None:
    refused = await site.api("POST", "/clinics", json=clinic_body(e_invoices=True))
    assert (refused.status_code, refused.json()["code"]) == (422, "e_invoices_incomplete")
    assert {each["field"] for each in refused.json()["errors"]} == {
        "tax_number",
        "postal_address.lines",
        "postal_address.city",
        "postal_address.country",
    }
    clinic, before = await a_clinic_with_an_invoice(site)
    settings = {"e_invoices": True, "tax_number": "IE1234567T", "postal_address": ADDRESS}
    changed = await site.api("PATCH", f"/clinics/{clinic['id']}", json=settings)
    assert changed.status_code == 200 and changed.json()["postal_address"] == ADDRESS
    of_clinic, client_id = f"/clinics/{clinic['id']}", before["client_id"]
    none = (await site.api("POST", f"{of_clinic}/invoices", json=invoice_body(client_id))).json()
    await site.api("PATCH", f"{of_clinic}/clients/{client_id}", json={"billing_address": ADDRESS})
    invoice = (await site.api("POST", f"{of_clinic}/invoices", json=invoice_body(client_id))).json()
    off = {"e_invoices": False, "tax_number": "", "postal_address": None}
    assert (await site.api("PATCH", of_clinic, json=off)).status_code == 200

    invoice = (await site.api("GET", f"{of_clinic}/invoices/{invoice['id']}")).json()
    xml = await site.api("GET", f"{of_clinic}/invoices/{invoice['id']}/xml")
    pdf = await site.api("GET", f"{of_clinic}/invoices/{invoice['id']}/pdf")

    assert invoice["e_invoice"] == {"available": True, "missing": []}
    assert xml.headers["content-type"] == "application/xml"
    assert f'filename="Invoice-{invoice["number"]}.xml"' in xml.headers["content-disposition"]
    assert get_xml_from_pdf(pdf.content, check_xsd=True, check_schematron=False) == (
        "factur-x.xml",
        xml.content,
    )
    assert '<ram:ID schemeID="VA">IE1234567T</ram:ID>' in xml.text and "Una Doyle" in xml.text
    kept = {"If-None-Match": xml.headers["etag"]}
    assert (
        await site.api("GET", f"{of_clinic}/invoices/{invoice['id']}/xml", headers=kept)
    ).status_code == 304
    for other, missing in ((before, []), (none, ["client_country"])):
        answer = await site.api("GET", f"{of_clinic}/invoices/{other['id']}/xml")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_e_invoice")
        assert ("issued none then" in answer.json()["detail"]) == (not missing)
        assert answer.json()["missing"] == missing
        plain = await site.api("GET", f"{of_clinic}/invoices/{other['id']}/pdf")
        assert PdfReader(BytesIO(plain.content)).attachments == {}

    await site.log_in("una@example.com")
    link = f"/c/{clinic['slug']}/invoices/{invoice['id']}/xml"
    assert f'href="{link}"' in (await site.get(link.removesuffix("/xml"))).text
    assert (await site.get(link)).content == xml.content
    assert "/xml" not in (await site.get(f"/c/{clinic['slug']}/invoices/{none['id']}")).text


async def test_a_credit_note_is_an_e_invoice_too(world: InvoiceService) -> None:
    await world.change_clinic(e_invoices=True, tax_number="IE1234567T", postal_address=ADDRESS)
    patch = {"billing_address": ADDRESS}
    await world.http.call("PATCH", f"/clients/{world.client_id}", world.staff, json=patch)
    invoice = await world.issue()
    path = f"/invoices/{invoice['id']}/credit-notes"
    headers = {"Idempotency-Key": "e-invoice"}
    made = await world.http.call("POST", path, world.staff, json={"reason": "not_given"}, headers=headers)
    note = made.json()["document"]

    xml = await world.http.call("GET", f"{path}/{note['id']}/xml", world.client)
    pdf = await world.http.call("GET", f"{path}/{note['id']}/pdf", world.client)

    assert "<ram:TypeCode>381</ram:TypeCode>" in xml.text and invoice["number"] in xml.text
    assert get_xml_from_pdf(pdf.content, check_xsd=True, check_schematron=False) == (
        "factur-x.xml",
        xml.content,
    )
    refused = await world.http.call("GET", f"{path}/{new_id()}/xml", world.client)
    assert (refused.status_code, refused.json()["code"]) == (404, "credit_note_not_found")


async def test_head_answers_as_get_without_the_body(site: Site) -> None:
    clinic, invoice = await a_clinic_with_an_invoice(site)
    await site.log_in("una@example.com")
    portal, of_invoice = f"/c/{clinic['slug']}", f"/clinics/{clinic['id']}/invoices/{invoice['id']}"
    of_client = f"/clinics/{clinic['id']}/clients/{invoice['client_id']}"
    for ask, path in (
        (site.client.request, f"{portal}/invoices/{invoice['id']}/pdf"),
        (site.client.request, f"{portal}/statement"),
        (site.client.request, f"{portal}/billing.zip"),
        (site.client.request, f"{portal}/billing.csv"),
        (site.api, f"{of_invoice}/pdf"),
        (site.api, f"{of_client}/statement"),
        (site.api, f"{of_client}/invoices.zip"),
    ):
        whole, head = [await ask(method, path) for method in ("GET", "HEAD")]

        assert (whole.status_code, head.status_code, head.content) == (200, 200, b""), path
        for name in ("content-type", "content-length", "content-disposition", "etag", "cache-control"):
            assert head.headers.get(name) == whole.headers.get(name), (path, name)
    assert (await site.api("HEAD", f"{of_invoice}/receipt")).status_code == 409
    assert (await site.api("HEAD", f"{of_invoice}/pdf", key=None)).status_code == 401


async def test_a_receipt_comes_with_the_first_payment_and_changes_with_the_next(
    world: InvoiceService,
) -> None:
    invoice = await world.issue()
    path = f"/invoices/{invoice['id']}/receipt"
    refused = await world.http.call("GET", path, world.client)
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_paid")
    await world.deliver(a_settlement(world.clinic_id, invoice["id"], eur(100)))
    first = await world.http.call("GET", path, world.client)
    await world.deliver(a_settlement(world.clinic_id, invoice["id"], eur(25)))

    kept = {"If-None-Match": first.headers["etag"]}
    second = await world.http.call("GET", path, world.client, headers=kept)

    assert "€100.00" in words(first.content) and "€25.00" in words(first.content)
    assert second.status_code == 200
    assert "Visa ending 4242" in words(second.content) and "€125.00" in words(second.content)
    stranger = await world.http.call("GET", path, a_caller("client", world.clinic_id))
    assert stranger.status_code == 404


async def test_a_credit_note_has_a_file_of_its_own(world: InvoiceService) -> None:
    invoice = await world.issue()
    made = await world.http.call(
        "POST",
        f"/invoices/{invoice['id']}/credit-notes",
        world.staff,
        json={"reason": "goodwill", "lines": [{"position": 1, "quantity": "0.5"}]},
        headers={"Idempotency-Key": "credit"},
    )
    document = made.json()["document"]
    path = f"/invoices/{invoice['id']}/credit-notes/{document['id']}/pdf"
    first = await world.http.call("GET", path, world.client)
    await world.change_clinic(name="Riverside Care")

    again = await world.http.call("GET", path, world.staff)

    assert again.content == first.content
    text = words(first.content)
    assert all(
        each in text for each in (document["number"], invoice["number"], "€62.50", "A goodwill gesture")
    )
    other = await world.issue()
    for wrong in (path.replace(document["id"], str(new_id())), path.replace(invoice["id"], other["id"])):
        refused = await world.http.call("GET", wrong, world.staff)
        assert (refused.status_code, refused.json()["code"]) == (404, "credit_note_not_found")
