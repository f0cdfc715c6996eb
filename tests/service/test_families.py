"""One login, several clients of a clinic: a family. Each mailed link works, and the last choice is remembered."""

import re
from typing import Any

import pytest

from tests.builders.invoices import taxed_invoice_body
from tests.running.databases import ServiceDb
from tests.running.gateway import CLIENT, PASSWORD, Site, create_client, create_clinic


async def page(site: Site, path: str) -> Any:
    return await site.get(path, headers={"Accept": "text/html"})


async def choose(site: Site, client: Any) -> Any:
    return await site.client.post(
        "/clinics",
        data={"slug": "oak", "place": client["id"]},
        headers={"x-csrftoken": site.cookie("csrf") or ""},
        follow_redirects=False,
    )


async def answer(site: Site, client: Any, answer: str, next: str = "", slug: str = "oak") -> Any:
    """The owner's answer to a clinic that connected a client to the login."""
    form = {"slug": slug, "place": client["id"], "answer": answer, "next": next}
    return await site.client.post(
        "/clinics/invitations",
        data=form,
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
    await answer(site, bea, "accept")

    choices = (await page(site, "/clinics")).text
    assert "Ann Byrne" in choices and "Bea Byrne" in choices
    for name, invoice in invoices.items():
        linked = await page(site, f"/c/oak/invoices/{invoice['id']}")
        assert linked.status_code == 200 and name in linked.text

    for client in (bea, ann):
        chosen = await choose(site, client)
        assert (chosen.status_code, chosen.headers["location"]) == (303, "/c/oak")
        history = (await page(site, "/c/oak/billing")).text
        assert f"<small>{client['name']}</small>" in history
        assert [invoice["number"] in history for invoice in invoices.values()] == [
            client is ann,
            client is bea,
        ]


async def test_the_choice_shows_what_is_to_pay_where_and_begins_with_the_last_one(site: Site) -> None:
    oak, elm = await create_clinic(site), await create_clinic(site, slug="elm", name="Elm Dental")
    ann = await create_client(site, oak)
    cat = await create_client(site, elm, name="Cat")
    await issued_to(site, oak, ann)
    await site.log_in("ann@example.com")
    await answer(site, cat, "accept", slug="elm")

    def shown(text: str) -> list[str]:
        """The words of each clinic, in the order of the page."""
        links = re.findall(r'<a href="/c/\w+">(.*?)</a>', text, re.DOTALL)
        return [" ".join(re.sub(r"<[^>]+>", " ", link).split()) for link in links]

    await page(site, "/c/oak")
    first = shown((await page(site, "/clinics")).text)
    await page(site, "/c/elm")
    await log_in_again(site)
    later = shown((await page(site, "/clinics")).text)

    assert first == [
        "O Oak Street Physiotherapy €113.50 to pay · you were here last",
        "E Elm Dental Nothing to pay",
    ]
    assert later == [
        "E Elm Dental Nothing to pay · you were here last",
        "O Oak Street Physiotherapy €113.50 to pay",
    ]


async def test_a_clinic_that_shows_no_bills_says_nothing_of_them_in_the_choice(site: Site) -> None:
    oak, elm = await create_clinic(site, billing_shown=False), await create_clinic(site, slug="elm")
    await create_client(site, oak)
    cat = await create_client(site, elm)
    await site.log_in("ann@example.com")
    await answer(site, cat, "accept", slug="elm")

    assert (await page(site, "/clinics")).text.count("to pay") == 1


async def test_a_family_opens_with_the_client_of_the_last_session(site: Site) -> None:
    oak = await create_clinic(site)
    await create_client(site, oak)
    bea = await create_client(site, oak, name="Bea Byrne")
    await site.log_in("ann@example.com")
    await answer(site, bea, "accept")
    await choose(site, bea)
    await page(site, "/c/oak")

    await log_in_again(site)

    assert "<small>Bea Byrne</small>" in (await page(site, "/c/oak")).text


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
    waiting = (await page(site, "/clinics")).text
    assert waiting.count("has connected its client <strong>Bea</strong>") == 1 and "Elm" not in waiting
    place = re.search(r'name="place" value="([^"]+)"', waiting)
    assert place is not None
    await answer(site, {"id": place[1]}, "accept")

    choices = (await page(site, "/clinics")).text
    assert "Ann" in choices and "Bea" in choices and "Elm" not in choices
    assert (await page(site, "/c/elm")).status_code == 404
    waiting = await db_gateway.admin.fetchval("SELECT count(*) FROM memberships WHERE NOT active")
    assert waiting == 1


async def log_in_again(site: Site) -> None:
    await site.client.post("/logout", headers={"x-csrftoken": site.cookie("csrf") or ""})
    await site.log_in("ann@example.com")


async def issued_to(site: Site, clinic: Any, client: Any) -> Any:
    issued = await site.api("POST", f"/clinics/{clinic['id']}/invoices", json=taxed_invoice_body(client))
    assert issued.status_code == 201, issued.text
    return issued.json()


@pytest.mark.parametrize("slug", ["oak", "elm"])
async def test_a_login_sees_the_name_alone_of_a_further_client_before_its_owner_accepts(
    site: Site, slug: str
) -> None:
    """At the clinic that it knows and at another one; then the mailed link leads where it should."""
    clinics = {each: await create_clinic(site, slug=each, name=f"{each} clinic") for each in ("oak", "elm")}
    await create_client(site, clinics["oak"])
    bea = await create_client(site, clinics[slug], name="Bea Byrne")
    invoice = await issued_to(site, clinics[slug], bea)
    link = f"/c/{slug}/invoices/{invoice['id']}"

    arrived = await site.log_in("ann@example.com", next=link)
    led = await page(site, arrived.headers["location"])
    assert led.status_code == 303 and led.headers["location"].startswith("/clinics?next=")
    asked = (await page(site, led.headers["location"])).text
    assert f"{slug} clinic has connected its client <strong>Bea Byrne</strong>" in asked
    assert invoice["number"] not in asked and "125.00" not in asked
    for path in (link, f"{link}/pay", f"/c/{slug}/billing", f"/c/{slug}/methods", f"/c/{slug}"):
        shown = await page(site, path)
        assert "Bea" not in shown.text and invoice["number"] not in shown.text, path
    refused = await site.get(f"{link}", headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (403, "invitation_waits")

    accepted = await answer(site, bea, "accept", next=link, slug=slug)

    assert (accepted.status_code, accepted.headers["location"]) == (303, link)
    assert invoice["number"] in (await page(site, link)).text


async def test_a_client_that_is_declined_stays_hidden_and_is_not_asked_for_again(site: Site) -> None:
    oak = await create_clinic(site)
    await create_client(site, oak)
    bea = await create_client(site, oak, name="Bea Byrne")
    invoice = await issued_to(site, oak, bea)
    await site.log_in("ann@example.com")

    declined = await answer(site, bea, "decline")

    assert (declined.status_code, declined.headers["location"]) == (303, "/clinics")
    assert (await page(site, "/clinics")).headers["location"] == "/c/oak"
    assert (await page(site, f"/c/oak/invoices/{invoice['id']}")).status_code == 404
    assert (await answer(site, bea, "accept")).status_code == 404


async def test_two_children_at_one_clinic_are_told_apart_before_they_are_accepted(site: Site) -> None:
    oak = await create_clinic(site)
    for name in ("Ann Byrne", "Bea Byrne", "Cal Byrne"):
        await create_client(site, oak, name=name)
    await site.log_in("ann@example.com")

    asked = (await page(site, "/clinics")).text
    assert [f"its client <strong>{name} Byrne</strong>" in asked for name in ("Bea", "Cal")] == [True, True]


async def test_only_the_logins_owner_answers(site: Site) -> None:
    oak = await create_clinic(site)
    await create_client(site, oak)
    bea = await create_client(site, oak, name="Bea Byrne")
    await create_client(site, oak, email="cat@example.com", name="Cat")
    await site.log_in("cat@example.com")

    assert (await answer(site, bea, "accept")).status_code == 404
    assert (await page(site, "/clinics")).headers["location"] == "/c/oak"


async def test_an_existing_login_accepts_staff_too(site: Site) -> None:
    oak, elm = await create_clinic(site), await create_clinic(site, slug="elm", name="Elm Dental")
    await create_client(site, oak)
    staff = {"email": "ann@example.com", "password": PASSWORD}
    made = await site.api("POST", f"/clinics/{elm['id']}/staff", json=staff)
    assert made.status_code == 201, made.text
    await site.log_in("ann@example.com")

    assert "Accept only if you work there" in (await page(site, "/clinics")).text
    await answer(site, {"id": "staff"}, "accept", slug="elm")

    assert "Elm Dental" in (await page(site, "/c/elm")).text
