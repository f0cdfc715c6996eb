"""A portal's former addresses lead to it for ever, and no other clinic gets them."""

from typing import Any

import pytest

from tests.builders.invoices import invoice_body
from tests.running.gateway import CLINIC, SETTINGS, Site, create_client, create_clinic

PAGE = {"Accept": "text/html"}
PAGES = ("", "/billing?status=unpaid", "/methods", "/help", "/help/master-guide?q=a%20b", "/contact")


async def move(site: Site, clinic: Any, slug: str, method: str = "PATCH") -> Any:
    body = {"slug": slug} if method == "PATCH" else {**SETTINGS, "slug": slug}
    return await site.api(method, f"/clinics/{clinic['id']}", json=body)


async def follow(site: Site, path: str) -> Any:
    return await site.client.get(path, headers=PAGE, follow_redirects=True)


async def issue(site: Site, clinic: Any, client: Any) -> str:
    body = invoice_body(client["id"])
    issued = await site.api("POST", f"/clinics/{clinic['id']}/invoices", json=body)
    assert issued.status_code == 201, issued.text
    return str(issued.json()["id"])


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_every_page_of_a_former_address_leads_to_the_same_page(site: Site, method: str) -> None:
    oak = await create_clinic(site)
    client = await create_client(site, oak)
    invoice = await issue(site, oak, client)
    await site.log_in("ann@example.com")
    for slug in ("oak-street", "oak-lane"):
        assert (await move(site, oak, slug, method)).status_code == 200

    for old in ("oak", "oak-street"):
        for rest in (
            *PAGES,
            f"/invoices/{invoice}",
            f"/invoices/{invoice}/details",
            f"/invoices/{invoice}/pay",
        ):
            led = await site.get(f"/c/{old}{rest}", headers=PAGE)
            assert (led.status_code, led.headers["location"]) == (307, f"/c/oak-lane{rest}")
        assert (await follow(site, f"/c/{old}/invoices/{invoice}")).status_code == 200


async def test_a_mailed_link_leads_through_the_login_to_its_invoice(site: Site) -> None:
    oak = await create_clinic(site)
    invoice = await issue(site, oak, await create_client(site, oak))
    await move(site, oak, "oak-street")

    login = await follow(site, f"/c/oak/invoices/{invoice}")
    assert CLINIC["name"] in login.text
    signed_in = await site.log_in("ann@example.com", next=f"/c/oak/invoices/{invoice}")

    shown = await follow(site, signed_in.headers["location"])
    assert shown.status_code == 200 and str(shown.url).endswith(f"/c/oak-street/invoices/{invoice}")


async def test_what_a_page_sends_to_the_former_address_arrives(site: Site) -> None:
    """A script's request is sent again as it was; a family's choice names the clinic by its former address."""
    oak = await create_clinic(site)
    client = await create_client(site, oak)
    invoice = await issue(site, oak, client)
    await create_client(site, oak, name="Bea Byrne")
    await site.log_in("ann@example.com")
    token = {"x-csrftoken": site.cookie("csrf") or ""}
    await move(site, oak, "oak-street")
    share = {"invoice_id": invoice, "amount": {"minor": 12_500, "currency": "EUR"}}

    sent = await site.client.post(
        "/c/oak/payments",
        json={"invoices": [share], "method": {"kind": "card"}},
        headers=token,
        follow_redirects=False,
    )
    form = {"slug": "oak", "place": client["id"]}
    chosen = await site.client.post("/clinics", data=form, headers=token, follow_redirects=False)

    assert (sent.status_code, sent.headers["location"]) == (307, "/c/oak-street/payments")
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/c/oak-street")


async def test_a_former_address_is_given_to_no_other_clinic(site: Site) -> None:
    oak, elm = await create_clinic(site), await create_clinic(site, slug="elm")
    await move(site, oak, "oak-street")
    await move(site, oak, "oak-lane")

    for slug in ("oak", "oak-street", "oak-lane"):
        made = await site.api("POST", "/clinics", json={**CLINIC, "slug": slug})
        moved = [await move(site, elm, slug, method) for method in ("PATCH", "PUT")]
        for refused in (made, *moved):
            assert (refused.status_code, refused.json()["code"]) == (409, "slug_taken")
    assert (await site.api("GET", f"/clinics/{elm['id']}")).json() == elm


async def test_a_clinic_takes_its_former_address_back(site: Site) -> None:
    oak = await create_clinic(site)
    await create_client(site, oak)
    await site.log_in("ann@example.com")
    for slug in ("oak-street", "oak", "oak-street", "oak"):
        back = await move(site, oak, slug)
        assert (back.status_code, back.json()["slug"]) == (200, slug)

    assert (await site.get("/c/oak", headers=PAGE)).status_code == 200
    led = await site.get("/c/oak-street", headers=PAGE)
    assert led.headers["location"] == "/c/oak" and "max-age" not in led.headers.get("cache-control", "")


async def test_who_has_no_place_at_the_clinic_finds_nothing_at_either_address(site: Site) -> None:
    oak, elm = await create_clinic(site), await create_clinic(site, slug="elm")
    await create_client(site, elm)
    await site.log_in("ann@example.com")
    await move(site, oak, "oak-street")

    assert (await follow(site, "/c/oak/billing")).status_code == 404
    assert (await follow(site, "/c/never/billing")).status_code == 404
