"""An issued document keeps what it said, whatever the clinic and the client are called later."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from contracts.http.accounts import AccountOut
from tests.frozen.system import WholeSystem, a_whole_system
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, put_account

ACCOUNT = "acct_1Harbour"
ADDRESS = {"lines": ["3 Strand"], "postcode": "D04", "city": "Dublin", "country": "IE"}
OLD = {
    "slug": "harbour",
    "name": "Harbour Clinic",
    "currency": "EUR",
    "time_zone": "Europe/Dublin",
    "locale": "en-IE",
    "contact": {
        "phone": "+353 1 555 0123",
        "email": "desk@harbour.example",
        "address": "12 Quay Street",
        "hours": "9 to 5",
    },
    "accent": "#0b6e6e",
    "tax_number": "IE1234567T",
    "postal_address": ADDRESS,
    "e_invoices": True,
    "tax_rates": [{"code": "STD", "name": "VAT", "percent": "23"}],
}
NEW = {
    "name": "Riverside Care",
    "currency": "JPY",
    "time_zone": "Pacific/Kiritimati",
    "locale": "de-DE",
    "contact": {
        "phone": "+49 30 5550123",
        "email": "empfang@riverside.example",
        "address": "Uferweg 1",
        "hours": "",
    },
    "accent": "#7a1f3d",
    "tax_number": "",
    "postal_address": None,
    "e_invoices": False,
    "tax_rates": [{"code": "STD", "name": "MwSt.", "percent": "19"}],
}
EMAIL = "una@example.com"
PERSON = {
    "name": "Una Doyle",
    "email": EMAIL,
    "login": {"password": PASSWORD},
    "billing_address": ADDRESS,
}
LATE = datetime(2026, 11, 2, 23, 30, tzinfo=UTC).isoformat()
"""Still the second in Dublin, the third in Kiritimati."""


@pytest.fixture
async def system(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[WholeSystem]:
    dbs = {
        "gateway": db_gateway,
        "invoice": db_invoice,
        "payment": db_payment,
        "notification": db_notification,
    }
    async with a_whole_system(dbs, ACCOUNT) as made:
        yield made


async def post(system: WholeSystem, path: str, body: Any) -> Any:
    answer = await system.site.api("POST", path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def put_on(system: WholeSystem) -> tuple[str, str]:
    clinic = await post(system, "/clinics", OLD)
    assert msgspec.convert((await put_account(system.site, clinic, ACCOUNT)).json(), AccountOut)
    client = await post(system, f"/clinics/{clinic['id']}/clients", PERSON)
    await system.settle()
    await system.visitor.log_in(EMAIL, PASSWORD)
    return f"/clinics/{clinic['id']}", client["id"]


async def issue(system: WholeSystem, at: str, client: str) -> Any:
    line = {
        "service": "Physiotherapy",
        "practitioner": "A. Byrne",
        "unit_price": {"minor": 10_000, "currency": "EUR"},
        "tax_code": "STD",
        "appointment": {"starts_at": LATE, "place": "Room 2"},
    }
    issued = await post(
        system, f"{at}/invoices", {"client_id": client, "due_on": "2027-01-31", "lines": [line]}
    )
    await system.settle()
    return issued


async def pay(system: WholeSystem, invoice: Any) -> str:
    """Pay by card; the payment's id."""
    start = await system.visitor.pay("harbour", invoice["id"], invoice["total"], {"kind": "card"}, save=False)
    secret = start["client_secret"]
    confirmed = await system.browser.post(
        f"/v1/payment_intents/{secret.partition('_secret')[0]}/confirm",
        data={"client_secret": secret, "payment_method": "pm_card_visa", "return_url": "https://pay.example"},
        headers={"Authorization": f"Bearer {system.sandbox.publishable_key}", "Stripe-Account": ACCOUNT},
    )
    assert confirmed.status_code == 200, confirmed.text
    await system.settle()
    return str(start["payment_id"])


async def document(system: WholeSystem, path: str) -> str:
    """The part of the page that is the document, and the page's title, without what the page's script compares."""
    answer = await system.site.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    title = re.search(r"<title>.*?</title>", answer.text, re.DOTALL)
    article = re.search(r"<article.*?</article>", answer.text, re.DOTALL)
    assert title and article
    return title[0] + article[0]


async def documents(system: WholeSystem, at: str, invoice: Any, payment: str) -> dict[str, Any]:
    """The invoice and its receipt on every page and in the API."""
    page = f"/c/harbour/invoices/{invoice['id']}"
    listed = (await system.site.get("/c/harbour/billing", headers={"Accept": "text/html"})).text
    rows = re.search(r"<tbody>.*?</tbody>", listed, re.DOTALL)
    assert rows
    return {
        "invoice": await document(system, page),
        "receipt": await document(system, f"/c/harbour/payments/{payment}"),
        "list": rows[0],
        "api": (await system.site.api("GET", f"{at}/invoices/{invoice['id']}")).json(),
        "api list": (await system.site.api("GET", f"{at}/invoices")).json(),
    }


async def rename(system: WholeSystem, at: str, client: str) -> None:
    changed = await system.site.api("PATCH", at, json=NEW)
    assert changed.status_code == 200, changed.text
    person = await system.site.api(
        "PATCH",
        f"{at}/clients/{client}",
        json={"name": "Una Murphy", "billing_address": {**ADDRESS, "city": "Cork"}},
    )
    assert person.status_code == 200, person.text
    await system.settle()


async def test_a_paid_document_reads_the_same_whatever_changes_later(system: WholeSystem) -> None:
    at, client = await put_on(system)
    invoice = await issue(system, at, client)
    payment = await pay(system, invoice)
    before = await documents(system, at, invoice, payment)
    assert "Harbour Clinic" in before["receipt"] and "Una Doyle" in before["receipt"]
    assert "VAT" in before["invoice"] and "2 November 2026" in before["invoice"]
    assert before["api"]["seller"] == {
        "name": "Harbour Clinic",
        "address": "12 Quay Street",
        "phone": "+353 1 555 0123",
        "email": "desk@harbour.example",
        "tax_number": "IE1234567T",
        "postal_address": ADDRESS,
        "e_invoices": True,
    }
    assert before["api"]["e_invoice"] == {"available": True, "missing": []}
    assert before["api"]["bill_to"] == {
        "name": "Una Doyle",
        "billing_address": ADDRESS,
        "erased": False,
        "tax_number": "",
    }

    await rename(system, at, client)

    assert await documents(system, at, invoice, payment) == before


async def test_a_document_that_is_paid_after_the_change_has_its_seller_on_page_and_in_letters(
    system: WholeSystem,
) -> None:
    at, client = await put_on(system)
    invoice = await issue(system, at, client)
    await rename(system, at, client)
    system.mail.inbox.clear()

    payment = await pay(system, invoice)

    receipt = await document(system, f"/c/harbour/payments/{payment}")
    assert "Harbour Clinic" in receipt and "Riverside" not in receipt and "Una Murphy" not in receipt
    assert "€123.00" in receipt and "123,00" not in receipt
    [letter] = system.mail.inbox
    body = letter.get_body(("plain",))
    assert body and "Harbour Clinic has received your payment." in body.get_content()
    assert letter["Subject"] == "Receipt for your payment - Riverside Care"


async def test_a_new_document_has_the_new_values(system: WholeSystem) -> None:
    at, client = await put_on(system)
    await rename(system, at, client)

    price = {"minor": 10_000, "currency": "EUR"}
    line = {"service": "Physiotherapy", "practitioner": "", "unit_price": price, "tax_code": "STD"}
    body = {"client_id": client, "due_on": "2027-01-31", "currency": "EUR", "lines": [line]}
    shown = await post(system, f"{at}/invoices", body)

    assert (shown["seller"]["name"], shown["bill_to"]["name"]) == ("Riverside Care", "Una Murphy")
    assert (shown["locale"], shown["time_zone"]) == ("de-DE", "Pacific/Kiritimati")
    assert (await system.site.api("GET", f"{at}/invoices/{shown['id']}")).json() == shown
