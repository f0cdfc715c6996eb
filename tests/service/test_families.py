"""One login, several clients of a clinic: a family. Each mailed link works, and the last choice is remembered."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.builders.invoices import taxed_invoice_body
from tests.running.databases import ServiceDb
from tests.running.gateway import CLIENT, PASSWORD, Site, a_whole_site, create_client, create_clinic


@pytest.fixture
async def site(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Site]:
    async with a_whole_site(db_gateway, db_invoice, db_payment, db_notification) as site:
        yield site


async def page(site: Site, path: str) -> Any:
    return await site.get(path, headers={"Accept": "text/html"})


async def choose(site: Site, client: Any) -> Any:
    return await site.client.post(
        "/clinics",
        data={"slug": "oak", "place": client["id"]},
        headers={"x-csrftoken": site.cookie("csrf") or ""},
        follow_redirects=False,
    )


async def test_a_login_opens_each_of_its_clients_and_remembers_the_choice(site: Site) -> None:
    oak = await create_clinic(site)
    ann, bea = await create_client(site, oak), await create_client(site, oak, name="Bea Byrne")
    invoices = {}
    for client in (ann, bea):
        issued = await site.api("POST", f"/clinics/{oak['id']}/invoices", json=taxed_invoice_body(client))
        invoices[client["name"]] = issued.json()
    await site.log_in("ann@example.com")

    choices = (await page(site, "/clinics")).text
    assert "Ann Byrne" in choices and "Bea Byrne" in choices
    for name, invoice in invoices.items():
        linked = await page(site, f"/c/oak/invoices/{invoice['id']}")
        assert linked.status_code == 200 and name in linked.text

    for client in (bea, ann):
        chosen = await choose(site, client)
        assert (chosen.status_code, chosen.headers["location"]) == (303, "/c/oak")
        history = (await page(site, "/c/oak/billing")).text
        assert [invoice["number"] in history for invoice in invoices.values()] == [
            client is ann,
            client is bea,
        ]


async def test_a_place_that_is_not_the_logins_cannot_be_chosen(site: Site) -> None:
    oak = await create_clinic(site)
    await create_client(site, oak)
    other = await create_client(site, oak, email="cat@example.com", name="Cat")
    await site.log_in("ann@example.com")

    refused = await choose(site, other)

    assert refused.status_code == 404
    assert "Cat" not in (await page(site, "/c/oak")).text


async def test_a_password_that_a_clinic_chose_opens_no_other_clinics_clients(
    site: Site, db_gateway: ServiceDb
) -> None:
    oak, elm = await create_clinic(site), await create_clinic(site, slug="elm", name="Elm Dental")
    keys = {}
    for clinic in (oak, elm):
        made = await site.api("POST", f"/clinics/{clinic['id']}/api-keys", json={"name": "software"})
        keys[clinic["slug"]] = made.json()["api_key"]
    for slug, clinic, name in (("oak", oak, "Ann"), ("oak", oak, "Bea"), ("elm", elm, "Cat")):
        body = {**CLIENT, "name": name, "login": {"password": f"{slug} {PASSWORD}"}}
        made = await site.api("POST", f"/clinics/{clinic['id']}/clients", keys[slug], json=body)
        assert made.status_code == 201, made.text

    await site.log_in("ann@example.com", f"oak {PASSWORD}")

    choices = (await page(site, "/clinics")).text
    assert "Ann" in choices and "Bea" in choices and "Elm" not in choices
    assert (await page(site, "/c/elm")).status_code == 404
    waiting = await db_gateway.admin.fetchval("SELECT count(*) FROM memberships WHERE NOT active")
    assert waiting == 1
