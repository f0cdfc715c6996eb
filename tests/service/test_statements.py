"""A client's statement, and all invoices of some days in one file."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest

from services.gateway.portal.invoices import routes
from services.invoice.printing import statements
from tests.builders.callers import a_caller
from tests.builders.clinics import clinic_body
from tests.builders.invoices import invoice_body
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site
from tests.running.invoice import InvoiceService, an_invoice_service
from tests.service.test_invoice_documents import act
from tests.service.test_printing import words


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


async def statement(world: InvoiceService, **days: Any) -> Any:
    query = "&".join(f"{name}={day}" for name, day in days.items())
    return await world.http.call("GET", f"/clients/{world.client_id}/statement?{query}", world.client)


async def issued_on(world: InvoiceService, day: date, **changes: Any) -> Any:
    """An invoice that was issued on an earlier day."""
    invoice = await world.issue(**changes)
    await world.db.admin.execute("UPDATE invoices SET issued_on = $2 WHERE id = $1", invoice["id"], day)
    return invoice


async def test_it_adds_up_to_what_is_to_pay(world: InvoiceService) -> None:
    today = date.fromisoformat((await world.issue())["issued_on"])
    paid, corrected, void = [await world.issue() for _ in range(3)]
    await world.deliver(a_settlement(world.clinic_id, paid["id"], eur(125)))
    await act(world, corrected, "credit-notes", reason="goodwill", amount={"minor": 2_500, "currency": "EUR"})
    await act(world, void, "void", reason="duplicate")
    await issued_on(world, today - timedelta(days=400))

    made = await statement(world, since=today, until=today)

    text = words(made.content)
    assert made.headers["content-type"] == "application/pdf"
    for expected in (
        *("Invoiced €500.00", "Taken off €150.00", "Paid €125.00"),
        *("To pay of earlier invoices €125.00", "To pay €350.00"),
        *("Visa ending 4242", "Ada Nolan", paid["number"], corrected["number"], void["number"], "Void"),
    ):
        assert expected in text.replace("\n", " "), (expected, text)


async def test_each_currency_stands_alone(world: InvoiceService) -> None:
    await world.issue()
    await world.issue(currency="USD")

    text = words((await statement(world)).content)

    assert "Invoices in EUR" in text and "Invoices in USD" in text
    assert "To pay €125.00" in text and "To pay US$125.00" in text


async def test_a_payment_is_of_its_day_at_the_clinic(world: InvoiceService) -> None:
    """It was paid at 23:30 UTC, which is the next day in Dublin in summer."""
    await world.change_clinic(time_zone="Europe/Dublin")
    invoice = await world.issue()
    await world.deliver(a_settlement(world.clinic_id, invoice["id"], eur(125)))
    await world.db.admin.execute("UPDATE movements SET captured_at = '2026-07-01T23:30:00Z'")

    before = words((await statement(world, since="2026-07-01", until="2026-07-01")).content)
    on_the_day = words((await statement(world, since="2026-07-02", until="2026-07-02")).content)

    assert "Visa ending 4242" not in before
    assert "Visa ending 4242" in on_the_day and "2 July 2026" in on_the_day


async def test_without_an_invoice_it_says_so(world: InvoiceService) -> None:
    text = words((await statement(world, since="0001-01-01", until="9999-12-31")).content)

    assert "Nothing to pay" in text and "There was no invoice and no payment" in text


async def test_a_statement_of_another_client_is_not_found(world: InvoiceService) -> None:
    path, other = f"/clients/{world.client_id}/statement", (await world.add_clinic("other"))[0]
    for caller in (a_caller("client", world.clinic_id), a_caller("staff", other)):
        refused = await world.http.call("GET", path, caller)
        assert (refused.status_code, refused.json()["code"]) == (404, "client_not_found")


async def test_days_that_cannot_be_are_refused(
    world: InvoiceService, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = await statement(world, since="2026-02-02", until="2026-02-01")
    unread = await statement(world, since="2026-02-30")
    monkeypatch.setattr(statements, "MOST", 1)
    for _ in range(2):
        await world.issue()
    long = await statement(world)

    assert (turned.status_code, turned.json()["code"]) == (422, "days_out_of_order")
    assert unread.status_code == 400
    assert (long.status_code, long.json()["code"]) == (422, "statement_too_long")


async def a_client(site: Site, invoices: int) -> tuple[Any, str]:
    """A clinic, and a client of it with invoices, who has a login."""
    clinic = (await site.api("POST", "/clinics", json=clinic_body(number_prefix="H/A-"))).json()
    client = {"name": "Una Doyle", "email": "una@example.com", "login": {"password": PASSWORD}}
    who = (await site.api("POST", f"/clinics/{clinic['id']}/clients", json=client)).json()
    for _ in range(invoices):
        await site.api("POST", f"/clinics/{clinic['id']}/invoices", json=invoice_body(who["id"]))
    return clinic, f"/clinics/{clinic['id']}/clients/{who['id']}"


def files(content: bytes) -> dict[str, bytes]:
    with ZipFile(BytesIO(content)) as archive:
        return {each.filename: archive.read(each) for each in archive.infolist()}


async def test_the_portal_and_the_api_give_the_same_files(site: Site) -> None:
    clinic, path = await a_client(site, 3)
    statement, invoices = [await site.api("GET", f"{path}/{name}") for name in ("statement", "invoices.zip")]
    await site.log_in("una@example.com")
    at = f"/c/{clinic['slug']}"
    page = await site.get(f"{at}/billing")
    assert f'href="{at}/statement"' in page.text and f'href="{at}/billing.zip"' in page.text

    saved, zipped = await site.get(f"{at}/statement"), await site.get(f"{at}/billing.zip")

    assert saved.content == statement.content and "Una Doyle" in words(saved.content)
    assert files(zipped.content) == files(invoices.content)
    assert len(files(zipped.content)) == 3
    for name, pdf in files(zipped.content).items():
        assert name.removeprefix("Invoice-").removesuffix(".pdf").replace("H-A", "H/A") in words(pdf)
    assert zipped.content == (await site.get(f"{at}/billing.zip")).content
    kept = await site.api("GET", f"{path}/statement", headers={"If-None-Match": statement.headers["etag"]})
    assert kept.status_code == 304


async def test_a_file_holds_the_invoices_of_its_filter(site: Site) -> None:
    clinic, path = await a_client(site, 2)
    await site.log_in("una@example.com")

    none = await site.get(f"/c/{clinic['slug']}/billing.zip?until=2020-01-01")
    by_api = await site.api("GET", f"{path}/invoices.zip?until=2020-01-01")
    turned = await site.api("GET", f"{path}/invoices.zip?since=2020-01-02&until=2020-01-01")

    assert files(by_api.content) == {}
    assert (turned.status_code, turned.json()["code"]) == (422, "days_out_of_order")
    # A person gets the list, which says that none is in it, and not an empty file.
    assert (none.status_code, none.headers["location"]) == (
        302,
        f"/c/{clinic['slug']}/billing?until=2020-01-01",
    )


async def test_too_much_for_one_file_is_said_on_the_list(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic, path = await a_client(site, 1)
    [client_id] = path.split("/")[-1:]
    many = {"invoices": [invoice_body(client_id)] * 100}
    issued = await site.api("POST", f"/clinics/{clinic['id']}/invoices/bulk", json=many)
    assert issued.status_code == 201, issued.text
    await site.log_in("una@example.com")
    monkeypatch.setattr(routes, "MOST_ROWS", 100)
    monkeypatch.setattr(statements, "MOST", 100)

    by_api = await site.api("GET", f"{path}/invoices.zip")
    pages = [
        await site.get(f"/c/{clinic['slug']}/{name}") for name in ("billing.zip", "billing.csv", "statement")
    ]

    assert (by_api.status_code, by_api.json()["code"]) == (422, "too_many_invoices")
    for page in pages:
        assert page.status_code == 422 and "Choose fewer days." in page.text
        assert page.headers["content-type"].startswith("text/html")
        assert "Search and filter" in page.text
