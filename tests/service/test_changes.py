"""Changes by the public API: PATCH, what PUT asks for, creates sent again, and two requests at once."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.payment import consumers
from tests.builders.events import deliver, outbox_events
from tests.builders.invoices import taxed_invoice_body
from tests.running.databases import ServiceDb
from tests.running.gateway import (
    CLIENT,
    CLINIC,
    PASSWORD,
    SETTINGS,
    Site,
    a_whole_site,
    create_client,
    create_clinic,
)
from tests.running.network import Network

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def site(
    network: Network,
    db_gateway: ServiceDb,
    db_invoice: ServiceDb,
    db_payment: ServiceDb,
    db_notification: ServiceDb,
) -> AsyncIterator[Site]:
    async with a_whole_site(
        db_gateway, db_invoice, db_payment, db_notification, through=network.through
    ) as site:
        yield site


async def test_a_patch_of_settings_leaves_the_others_as_they_are(site: Site) -> None:
    oak = await create_clinic(
        site, online_payment=False, contact={"phone": "+353 1 555 0101", "hours": "9 to 5"}
    )
    at = f"/clinics/{oak['id']}"

    changed = await site.api(
        "PATCH", at, json={"name": "Oak", "contact": {"phone": "+353 1 555 0102"}}, headers=MERGE_PATCH
    )

    assert changed.status_code == 200, changed.text
    contact = {**oak["contact"], "phone": "+353 1 555 0102"}
    assert changed.json() == {**oak, "name": "Oak", "contact": contact, "version": 2}
    back = await site.api("PATCH", at, json={"tax_rates": None, "online_payment": None})
    assert (back.json()["tax_rates"], back.json()["online_payment"]) == ([], True)
    assert (await site.api("GET", at)).json() == back.json()


@pytest.mark.parametrize(
    "patch",
    [
        {"nmae": "Oak"},
        {"contact": {"fax": "1"}},
        {"name": None},
        {"currency": None},
        {"online_payment": "true"},
        [],
    ],
)
async def test_a_patch_that_is_wrong_changes_nothing(site: Site, patch: Any) -> None:
    oak = await create_clinic(site)

    refused = await site.api("PATCH", f"/clinics/{oak['id']}", json=patch)

    assert (refused.status_code, refused.json()["code"]) == (400, "request_invalid"), refused.text
    assert (await site.api("GET", f"/clinics/{oak['id']}")).json() == oak


@pytest.mark.parametrize("left_out", ["currency", "methods", "online_payment", "billing_shown", "tax_rates"])
async def test_put_refuses_settings_without_those_about_money(site: Site, left_out: str) -> None:
    oak = await create_clinic(site)
    whole = {name: value for name, value in SETTINGS.items() if name != left_out}

    refused = await site.api("PUT", f"/clinics/{oak['id']}", json=whole)

    assert (refused.status_code, refused.json()["code"]) == (400, "request_invalid")
    assert left_out in refused.text
    assert (await site.api("GET", f"/clinics/{oak['id']}")).json() == oak


async def test_a_client_is_changed_in_part_and_two_changes_at_once_both_stay(site: Site) -> None:
    oak = await create_clinic(site)
    ann = await create_client(site, oak, billing_address={"city": "Galway", "country": "IE"})
    at = f"/clinics/{oak['id']}/clients/{ann['id']}"

    changes: list[Any] = [
        {"name": "Ann Kelly"},
        {"email": "ann.kelly@example.com"},
        {"billing_address": {"city": "Dublin"}},
    ]
    answers = await asyncio.gather(*(site.api("PATCH", at, json=change) for change in changes))

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    now = (await site.api("GET", at)).json()
    assert (now["name"], now["email"]) == ("Ann Kelly", "ann.kelly@example.com")
    assert (now["billing_address"]["city"], now["billing_address"]["country"]) == ("Dublin", "IE")
    # The login keeps the e-mail that it was made with.
    assert (await site.log_in("ann@example.com")).status_code == 303


async def test_two_settings_changed_at_once_both_stay(site: Site) -> None:
    oak = await create_clinic(site)
    changes: list[Any] = [{"name": "Oak"}, {"accent": "#000080"}, {"slug": "oak-2"}, {"billing_shown": False}]

    answers = await asyncio.gather(
        *(site.api("PATCH", f"/clinics/{oak['id']}", json=change) for change in changes)
    )

    assert [answer.status_code for answer in answers] == [200] * 4
    now = (await site.api("GET", f"/clinics/{oak['id']}")).json()
    assert {name: now[name] for change in changes for name in change} == {
        name: value for change in changes for name, value in change.items()
    }


async def test_a_create_of_long_ago_sent_again_changes_nothing(site: Site, db_gateway: ServiceDb) -> None:
    first = {"Idempotency-Key": "day-one"}
    oak = (await site.api("POST", "/clinics", json=CLINIC, headers=first)).json()
    at = f"/clinics/{oak['id']}"
    ann = (await site.api("POST", f"{at}/clients", json=CLIENT, headers=first)).json()
    await site.api("PATCH", at, json={"name": "Oak Street Health", "online_payment": False})
    await site.api("PATCH", f"{at}/clients/{ann['id']}", json={"email": "new@example.com", "name": "Ann B"})
    await db_gateway.admin.execute("DELETE FROM key_uses")  # 30 days later

    clinic = await site.api("POST", "/clinics", json=CLINIC, headers=first)
    client = await site.api("POST", f"{at}/clients", json=CLIENT, headers=first)

    assert (clinic.json()["name"], clinic.json()["online_payment"]) == ("Oak Street Health", False)
    assert (client.json()["email"], client.json()["name"]) == ("new@example.com", "Ann B")
    assert (await site.api("GET", at)).json() == clinic.json()
    assert (await site.api("GET", f"{at}/clients/{ann['id']}")).json() == client.json()


@pytest.mark.parametrize("kind", ["clinics", "clients", "staff", "api-keys"])
async def test_of_two_requests_at_once_with_one_key_and_other_bodies_one_is_refused(
    site: Site, kind: str
) -> None:
    at = "" if kind == "clinics" else f"/clinics/{(await create_clinic(site))['id']}"
    bodies: dict[str, list[Any]] = {
        "clinics": [{**CLINIC, "slug": slug} for slug in ("elm", "ash")],
        "clients": [{**CLIENT, "name": name} for name in ("Ann", "Bea")],
        "staff": [{"email": f"{name}@example.com", "password": PASSWORD} for name in ("a", "b")],
        "api-keys": [{"name": name} for name in ("a", "b")],
    }
    headers = {"Idempotency-Key": "one"}

    answers = await asyncio.gather(
        *(site.api("POST", f"{at}/{kind}", json=body, headers=headers) for body in bodies[kind])
    )

    assert sorted(answer.status_code for answer in answers) == [201, 422]
    refused = next(answer for answer in answers if answer.status_code == 422)
    assert refused.json()["code"] == "idempotency_key_reused"


async def test_two_requests_at_once_that_are_the_same_have_one_answer(site: Site) -> None:
    headers = {"Idempotency-Key": "one"}
    clinics = await asyncio.gather(
        *(site.api("POST", "/clinics", json=CLINIC, headers=headers) for _ in range(4))
    )
    at = f"/clinics/{clinics[0].json()['id']}/clients"
    clients = await asyncio.gather(*(site.api("POST", at, json=CLIENT, headers=headers) for _ in range(4)))

    for answers in (clinics, clients):
        assert [answer.status_code for answer in answers] == [201] * 4
        assert all(answer.json() == answers[0].json() for answer in answers)


async def test_a_slug_that_another_takes_in_between_leaves_nothing(
    site: Site, network: Network, db_gateway: ServiceDb, db_invoice: ServiceDb
) -> None:
    async def take(call: str) -> None:
        if call == "POST invoice/clinics/…":
            await db_invoice.admin.execute("UPDATE clinics SET slug = 'elm'")

    await create_clinic(site)
    network.before = take

    refused = await site.api("POST", "/clinics", json={**CLINIC, "slug": "elm"})

    assert (refused.status_code, refused.json()["code"]) == (409, "slug_taken")
    assert await db_invoice.admin.fetchval("SELECT count(*) FROM clinics") == 1
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM operations") == 0
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM key_uses") == 1  # the first clinic's


@pytest.mark.parametrize("minor", ["5000", 5000.0, True])
async def test_the_portals_payment_reads_money_as_the_api_does(
    site: Site, db_invoice: ServiceDb, db_payment: ServiceDb, minor: Any
) -> None:
    oak = await create_clinic(site)
    client = await create_client(site, oak)
    issued = await site.api("POST", f"/clinics/{oak['id']}/invoices", json=taxed_invoice_body(client))
    await deliver(db_payment.worker, consumers, *await outbox_events(db_invoice))
    await site.log_in("ann@example.com")

    refused = await site.client.post(
        "/c/oak/payments",
        json={
            "invoices": [{"invoice_id": issued.json()["id"], "amount": {"minor": minor, "currency": "EUR"}}],
            "method": {"kind": "card"},
        },
        headers={"x-csrftoken": site.cookie("csrf") or "", "Accept": "application/json"},
    )

    assert (refused.status_code, refused.json()["code"]) == (400, "request_invalid")
    assert await db_payment.admin.fetchval("SELECT count(*) FROM payments") == 0


SPLITTING = ["\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\r\n", "\u202e", "\u2066"]


def in_each_text(client: Any, clinic: Any, text: str) -> list[tuple[str, str, dict[str, Any]]]:
    """A request for each text on one line that the public API takes."""
    at = f"/clinics/{clinic['id']}"
    [line] = taxed_invoice_body(client)["lines"]
    lines = [
        {**line, "service": text},
        {**line, "practitioner": text},
        {**line, "appointment": {**line["appointment"], "place": text}},
    ]
    return [
        ("POST", "/clinics", {**CLINIC, "slug": "elm", "name": text}),
        ("PATCH", at, {"name": text}),
        ("PATCH", at, {"contact": {"phone": text}}),
        ("PATCH", at, {"tax_rates": [{"code": "reduced", "name": text, "percent": "13.5"}]}),
        ("POST", f"{at}/clients", {"name": text, "email": "other@example.com"}),
        ("PATCH", f"{at}/clients/{client['id']}", {"name": text}),
        ("PATCH", f"{at}/clients/{client['id']}", {"billing_address": {"lines": [text]}}),
        ("PATCH", f"{at}/clients/{client['id']}", {"billing_address": {"postcode": text}}),
        ("PATCH", f"{at}/clients/{client['id']}", {"billing_address": {"city": text}}),
        *(("POST", f"{at}/invoices", taxed_invoice_body(client, lines=[each])) for each in lines),
        ("POST", f"{at}/api-keys", {"name": text}),
        ("POST", "/api-keys", {"name": text}),
    ]


@pytest.mark.parametrize("char", SPLITTING, ids=ascii)
async def test_no_text_on_one_line_splits_it_or_turns_it_round(
    site: Site, db_invoice: ServiceDb, db_gateway: ServiceDb, char: str
) -> None:
    oak = await create_clinic(site)
    client = await create_client(site, oak)
    before = (oak["name"], await db_gateway.admin.fetchval("SELECT count(*) FROM api_keys"))

    for method, path, body in in_each_text(client, oak, f"a{char}b"):
        refused = await site.api(method, path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_text"), (path, body)

    kept = await db_invoice.admin.fetch("SELECT name FROM clinics")
    assert (
        [row["name"] for row in kept],
        await db_invoice.admin.fetchval("SELECT count(*) FROM invoices"),
    ) == (
        [before[0]],
        0,
    )
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM api_keys") == before[1]


async def test_a_member_that_is_there_twice_changes_nothing(site: Site, db_invoice: ServiceDb) -> None:
    """The framework reads a body first, and may refuse it for what else is wrong."""
    oak = await create_clinic(site)
    client = await create_client(site, oak)

    for method, path, body in in_each_text(client, oak, "a"):
        sent = json.dumps(body).encode()
        name, _, _ = sent[2:].partition(b'"')
        twice = sent[:-1] + b', "' + name + b'": ' + json.dumps(body[name.decode()]).encode() + b"}"
        refused = await site.api(method, path, headers={"Content-Type": "application/json"}, content=twice)
        assert (refused.status_code, refused.json()["code"]) == (400, "duplicate_member"), refused.text

    assert await db_invoice.admin.fetchval("SELECT name FROM clinics") == oak["name"]
    assert await db_invoice.admin.fetchval("SELECT count(*) FROM invoices") == 0


async def test_all_that_is_wrong_in_meaning_is_named_at_once_with_its_field_and_code(site: Site) -> None:
    oak = await create_clinic(site)
    client = await create_client(site, oak)
    at = f"/clinics/{oak['id']}"
    [line] = taxed_invoice_body(client)["lines"]
    body = taxed_invoice_body(client, lines=[line, {**line, "tax_code": "x", "quantity": "0"}])

    refused = await site.api("POST", f"{at}/invoices", json={**body, "due_on": "2000-01-01"})

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_due_date"), refused.text
    assert {(each["code"], each["pointer"]) for each in refused.json()["errors"]} == {
        ("invalid_due_date", "/due_on"),
        ("unknown_tax_code", "/lines/1/tax_code"),
        ("invalid_quantity", "/lines/1/quantity"),
    }
    together = await site.api(
        "POST", f"{at}/invoices/bulk", json={"invoices": [body, {**body, "note": "a\u2028b"}]}
    )
    assert {(each["position"], each["field"]) for each in together.json()["errors"]} == {
        *((0, "lines.1.tax_code"), (0, "lines.1.quantity")),
        *((1, "note"), (1, "lines.1.tax_code"), (1, "lines.1.quantity")),
    }


async def test_what_two_services_refuse_in_one_body_is_named_at_once(site: Site) -> None:
    oak = await create_clinic(site)
    client = await create_client(site, oak)
    at = f"/clinics/{oak['id']}/clients"
    wrong = {
        "name": "\u200b",
        "email": "nobody",
        "language": "xx",
        "billing_address": {"country": "ZZ", "lines": ["a", "x" * 201]},
    }

    for method, path in (("POST", at), ("PATCH", f"{at}/{client['id']}")):
        refused = await site.api(method, path, json=wrong)
        named = {(each["code"], each["field"]) for each in refused.json()["errors"]}
        assert refused.status_code == 422 and named == {
            ("invalid_text", "name"),
            ("invalid_text", "billing_address.lines.1"),
            ("invalid_address", "billing_address.country"),
            ("email_not_valid", "email"),
            ("unknown_language", "language"),
        }
        assert {"languages", "countries"} <= set(refused.json())


@pytest.mark.parametrize("text", ["\u200b", "\u3164\u2800"], ids=ascii)
async def test_no_name_shows_nothing(site: Site, text: str) -> None:
    oak = await create_clinic(site)
    client = await create_client(site, oak)
    optional = {"phone", "practitioner", "place", "lines", "postcode", "city"}
    tried = 0

    for method, path, body in in_each_text(client, oak, text):
        if not any(f'"{name}": {json.dumps(text)}' in json.dumps(body) for name in ("name", "service")):
            continue
        refused = await site.api(method, path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_text"), (path, body)
        tried += 1
    assert tried + len(optional) == len(in_each_text(client, oak, text))


async def test_a_new_clinic_can_be_reached_and_an_old_one_stays_as_it_is(
    site: Site, db_invoice: ServiceDb
) -> None:
    for contact in ({}, {"address": "12 Quay Street"}, {"phone": "\u200b"}):
        refused = await site.api("POST", "/clinics", json={**CLINIC, "contact": contact})
        assert (refused.status_code, refused.json()["code"]) == (422, "contact_missing"), refused.text
    oak = await create_clinic(site)
    at = f"/clinics/{oak['id']}"
    assert (await site.api("PATCH", at, json={"contact": None})).json()["code"] == "contact_missing"

    await db_invoice.admin.execute("UPDATE clinics SET contact = $1", json.dumps(NOWHERE))
    old = (await site.api("PATCH", at, json={"name": "Oak"})).json()
    assert (old["name"], old["contact"]) == ("Oak", NOWHERE)


NOWHERE = {"phone": "", "email": "", "address": "", "hours": ""}


async def test_a_client_who_never_paid_has_nothing_to_refund(site: Site) -> None:
    oak = await create_clinic(site)
    client = await create_client(site, oak)
    at = f"/clinics/{oak['id']}/refunds"

    none = await site.api("POST", at, json={"client_id": client["id"], "currency": "EUR"})
    nobody = await site.api("POST", at, json={"client_id": oak["id"], "currency": "EUR"})

    assert (none.status_code, none.json()["code"]) == (409, "nothing_to_refund"), none.text
    assert (nobody.status_code, nobody.json()["code"]) == (404, "client_not_found")
