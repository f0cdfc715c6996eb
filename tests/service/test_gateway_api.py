"""The public API before the real services: keys and their reach, retries, and what is refused."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.builders.contacts import NO_ADDRESSES
from tests.builders.invoices import taxed_invoice_body
from tests.running.databases import ServiceDb
from tests.running.gateway import (
    ACCOUNT,
    CLIENT,
    CLINIC,
    PASSWORD,
    SETTINGS,
    Site,
    create_client,
    create_clinic,
    put_account,
)
from tests.running.settings import OPERATOR_KEY


async def a_clinic_key(site: Site, clinic: Any) -> str:
    answer = await site.api("POST", f"/clinics/{clinic['id']}/api-keys", json={"name": "practice software"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["api_key"])


async def test_from_nothing_to_an_invoice_that_the_client_sees(site: Site) -> None:
    clinic = await create_clinic(site)
    client = await create_client(site, clinic)
    issued = await site.api("POST", f"/clinics/{clinic['id']}/invoices", json=taxed_invoice_body(client))

    assert issued.status_code == 201, issued.text
    assert issued.json()["total"] == {"minor": 11350, "currency": "EUR"}
    path = f"/clinics/{clinic['id']}"
    assert (await site.api("GET", path)).json() == clinic
    assert (await site.api("GET", f"{path}/clients/{client['id']}")).json() == client
    assert (await site.api("GET", f"{path}/invoices/{issued.json()['id']}")).json() == issued.json()
    listed = (await site.api("GET", f"{path}/invoices?status=unpaid&client_id={client['id']}")).json()
    assert [row["id"] for row in listed["items"]] == [issued.json()["id"]]

    await site.log_in("ann@example.com")
    page = await site.get("/c/oak/billing", headers={"Accept": "text/html"})
    assert page.status_code == 200 and "€113.50" in page.text


async def test_a_retry_names_the_same_things_and_answers_the_same(site: Site) -> None:
    headers = {"Idempotency-Key": "clinic-1"}
    first = await site.api("POST", "/clinics", json=CLINIC, headers=headers)
    again = await site.api("POST", "/clinics", json=CLINIC, headers=headers)
    assert (first.status_code, first.json()) == (again.status_code, again.json())

    path = f"/clinics/{first.json()['id']}"
    client = await site.api("POST", f"{path}/clients", json=CLIENT, headers=headers)
    assert client.json() == (await site.api("POST", f"{path}/clients", json=CLIENT, headers=headers)).json()
    body = taxed_invoice_body(client.json())
    invoice = await site.api("POST", f"{path}/invoices", json=body, headers=headers)
    assert invoice.json() == (await site.api("POST", f"{path}/invoices", json=body, headers=headers)).json()

    assert len((await site.api("GET", "/clinics")).json()["items"]) == 1
    assert len((await site.api("GET", f"{path}/clients")).json()["items"]) == 1
    assert len((await site.api("GET", f"{path}/invoices")).json()["items"]) == 1


async def test_a_request_sent_again_undoes_nothing_that_was_changed_since(site: Site) -> None:
    headers = {"Idempotency-Key": "clinic-1"}
    clinic = (await site.api("POST", "/clinics", json=CLINIC, headers=headers)).json()
    await site.api("PATCH", f"/clinics/{clinic['id']}", json={"name": "Oak Street Health"})
    await put_account(site, clinic)

    again = await site.api("POST", "/clinics", json=CLINIC, headers=headers)

    assert (again.json()["name"], again.json()["stripe_account_id"]) == ("Oak Street Health", ACCOUNT)
    now = (await site.api("GET", f"/clinics/{clinic['id']}")).json()
    assert (now["name"], now["stripe_account_id"]) == ("Oak Street Health", ACCOUNT)


async def test_an_api_key_is_made_once_for_an_idempotency_key(site: Site, db_gateway: ServiceDb) -> None:
    clinic = await create_clinic(site)
    path, headers = f"/clinics/{clinic['id']}/api-keys", {"Idempotency-Key": "key-1"}
    made = await site.api("POST", path, json={"name": "practice software"}, headers=headers)

    again = await site.api("POST", path, json={"name": "practice software"}, headers=headers)

    assert made.status_code == 201
    assert (again.status_code, again.json()["code"]) == (409, "api_key_already_made")
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM api_keys WHERE clinic_id IS NOT NULL") == 1


async def test_a_clinic_that_is_not_there_has_no_invoices_to_list(site: Site) -> None:
    answer = await site.api("GET", f"/clinics/{uuid4()}/invoices")

    assert (answer.status_code, answer.json()["code"]) == (404, "clinic_not_found")


async def test_a_key_with_another_body_is_refused(site: Site) -> None:
    clinic = await create_clinic(site)
    headers, path = {"Idempotency-Key": "one"}, f"/clinics/{clinic['id']}"
    client = (await site.api("POST", f"{path}/clients", json=CLIENT, headers=headers)).json()
    await site.api("POST", f"{path}/invoices", json=taxed_invoice_body(client), headers=headers)

    other = [
        await site.api("POST", f"{path}/clients", json={**CLIENT, "name": "Bea"}, headers=headers),
        await site.api(
            "POST", f"{path}/invoices", json=taxed_invoice_body(client, note="x"), headers=headers
        ),
    ]

    assert [answer.status_code for answer in other] == [422, 422]
    assert {answer.json()["code"] for answer in other} == {"idempotency_key_reused"}


async def test_a_post_needs_a_usable_idempotency_key(site: Site) -> None:
    for key in (None, "", "a b", "x" * 300):
        headers = {"Authorization": f"Bearer {OPERATOR_KEY}"}
        headers |= {} if key is None else {"Idempotency-Key": key}
        answer = await site.client.post("/api/v1/clinics", json=CLINIC, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid"), key


async def test_without_a_known_key_nothing_is_said(site: Site) -> None:
    for key in (None, "Bearer x", "Bearer not-a-known-api-key", f"Basic {OPERATOR_KEY}", "Bearer \u00e9" * 9):
        headers = {b"Authorization": key.encode()} if key else {}
        answer = await site.client.get("/api/v1/clinics", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "api_key_invalid"), key
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_clinics_key_reaches_its_own_clinic_alone(site: Site) -> None:
    oak = await create_clinic(site)
    elm = await create_clinic(site, slug="elm", name="Elm Dental")
    key = await a_clinic_key(site, oak)
    theirs = await create_client(site, elm, email="bea@example.com")
    invoice = await site.api("POST", f"/clinics/{elm['id']}/invoices", json=taxed_invoice_body(theirs))
    assert invoice.status_code == 201, invoice.text

    own = await site.api("GET", "/clinics", key)
    assert [clinic["slug"] for clinic in own.json()["items"]] == ["oak"]
    mine = await site.api("POST", f"/clinics/{oak['id']}/clients", key, json=CLIENT)
    assert mine.status_code == 201, mine.text
    assert (
        await site.api("POST", f"/clinics/{oak['id']}/invoices", key, json=taxed_invoice_body(mine.json()))
    ).status_code == 201

    elms = f"/clinics/{elm['id']}"
    hidden: list[tuple[str, str, Any]] = [
        ("GET", elms, None),
        ("GET", f"{elms}/clients", None),
        ("GET", f"{elms}/clients/{theirs['id']}", None),
        ("GET", f"{elms}/invoices", None),
        ("GET", f"{elms}/invoices/{invoice.json()['id']}", None),
        ("POST", f"{elms}/clients", CLIENT),
        ("POST", f"{elms}/invoices", taxed_invoice_body(theirs)),
        ("GET", f"/clinics/{oak['id']}/clients/{theirs['id']}", None),
        ("GET", f"/clinics/{oak['id']}/invoices/{invoice.json()['id']}", None),
        ("POST", f"/clinics/{oak['id']}/invoices", taxed_invoice_body(theirs)),
    ]
    for method, path, body in hidden:
        answer = await site.api(method, path, key, **({"json": body} if body else {}))
        assert answer.status_code in (404, 422), (method, path, answer.text)
    forbidden: list[tuple[str, str, Any]] = [
        ("POST", "/clinics", {**CLINIC, "slug": "ash"}),
        ("PUT", f"/clinics/{oak['id']}", SETTINGS),
        ("PATCH", f"/clinics/{oak['id']}", {"name": "Mine"}),
        ("PUT", f"/clinics/{oak['id']}/stripe-account", {"platform_account": True}),
        ("POST", f"/clinics/{oak['id']}/staff", {"email": "s@example.com", "password": PASSWORD}),
        ("POST", f"/clinics/{oak['id']}/api-keys", {"name": "mine"}),
    ]
    for method, path, body in forbidden:
        answer = await site.api(method, path, key, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "operator_only")


async def test_a_revoked_key_is_not_known(site: Site, db_gateway: ServiceDb) -> None:
    key = await a_clinic_key(site, await create_clinic(site))
    await db_gateway.admin.execute("UPDATE api_keys SET revoked_at = now() WHERE role = 'clinic'")

    assert (await site.api("GET", "/clinics", key)).status_code == 401
    kept = await db_gateway.admin.fetchval("SELECT string_agg(k::text, ' ') FROM api_keys k")
    assert key not in kept


async def test_settings_change_and_slugs_are_one_clinics_alone(site: Site) -> None:
    oak = await create_clinic(site)
    taken = await site.api("POST", "/clinics", json={**CLINIC, "name": "Another Oak"})
    assert (taken.status_code, taken.json()["code"]) == (409, "slug_taken")

    changed = await site.api(
        "PUT", f"/clinics/{oak['id']}", json={**SETTINGS, "slug": "oak-street", "online_payment": False}
    )
    assert changed.status_code == 200, changed.text
    assert changed.json()["online_payment"] is False and changed.json()["version"] == 2
    await create_client(site, oak)
    await site.log_in("ann@example.com")
    assert (await site.get("/clinics")).headers["location"] == "/c/oak-street"
    unknown = await site.api("PUT", f"/clinics/{uuid4()}", json=SETTINGS)
    assert unknown.status_code == 404


async def test_staff_sign_in_and_may_be_a_client_too(site: Site) -> None:
    oak = await create_clinic(site)
    staff = {"email": "staff@example.com", "password": PASSWORD}
    made = await site.api("POST", f"/clinics/{oak['id']}/staff", json=staff)
    assert made.status_code == 201, made.text
    as_client = await site.api(
        "POST", f"/clinics/{oak['id']}/clients", json={**CLIENT, "email": "staff@example.com"}
    )
    assert as_client.status_code == 201, as_client.text

    await site.log_in("staff@example.com")
    page = await site.get("/c/oak", headers={"Accept": "text/html"})
    assert page.status_code == 200, page.text


async def test_what_is_no_address_is_refused_wherever_one_is_set_and_nothing_is_kept(site: Site) -> None:
    oak = await create_clinic(site)
    ann = await create_client(site, oak, login=None)
    at = f"/clinics/{oak['id']}"
    for wrong in (each for each in NO_ADDRESSES if "\x00" not in each):
        for method, path, body, field in (
            ("POST", f"{at}/clients", {**CLIENT, "email": wrong}, "email"),
            ("POST", f"{at}/staff", {"email": wrong, "password": PASSWORD}, "email"),
            ("PUT", at, {**SETTINGS, "contact": {"email": wrong}}, "contact.email"),
            ("PATCH", at, {"contact": {"email": wrong}}, "contact.email"),
            ("PATCH", f"{at}/clients/{ann['id']}", {"email": wrong}, "email"),
        ):
            answer = await site.api(method, path, json=body)
            assert answer.status_code == 422, (path, wrong, answer.text)
            assert (answer.json()["code"], answer.json()["field"]) == ("email_not_valid", field)
    assert (await site.api("GET", at)).json()["contact"]["email"] == oak["contact"]["email"]
    async with site.db.tx(None) as tx:
        assert await tx.fetchval("SELECT count(*) FROM logins") == 0


NOT_MONEY: list[Any] = [
    {"minor": "10000", "currency": "EUR"},
    {"minor": 100.5, "currency": "EUR"},
    {"minor": 10000.0, "currency": "EUR"},
    {"minor": 10**18, "currency": "EUR"},
    {"minor": True, "currency": "EUR"},
    {"minor": 10000, "currency": "eur"},
    {"minor": 10000, "currency": "EUR", "paid": True},
    10000,
    None,
]


async def test_money_is_integer_minor_units_and_nothing_else(site: Site) -> None:
    clinic = await create_clinic(site)
    body = taxed_invoice_body(await create_client(site, clinic))
    for broken in NOT_MONEY:
        body["lines"][0]["unit_price"] = broken
        answer = await site.api("POST", f"/clinics/{clinic['id']}/invoices", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid"), broken


async def test_a_set_of_invoices_is_issued_once_or_refused_by_position(site: Site) -> None:
    clinic = await create_clinic(site)
    client = await create_client(site, clinic)
    path = f"/clinics/{clinic['id']}/invoices"
    body = {"invoices": [taxed_invoice_body(client), taxed_invoice_body(client, note="x")]}
    headers = {"Idempotency-Key": "k1"}

    refused = await site.api(
        "POST",
        f"{path}/bulk",
        json={"invoices": [taxed_invoice_body(client), taxed_invoice_body({"id": str(uuid4())})]},
    )
    first = await site.api("POST", f"{path}/bulk", json=body, headers=headers)
    again = await site.api("POST", f"{path}/bulk", json=body, headers=headers)
    listed = await site.api("GET", path)

    assert (refused.status_code, refused.json()["code"]) == (422, "invoices_refused")
    assert [error["position"] for error in refused.json()["errors"]] == [1]
    assert (first.status_code, first.json()) == (201, again.json())
    assert [row["number"][5:] for row in first.json()["invoices"]] == ["000001", "000002"]
    assert {row["id"] for row in listed.json()["items"]} == {row["id"] for row in first.json()["invoices"]}
    for broken in NOT_MONEY:
        one = taxed_invoice_body(client)
        one["lines"][0]["unit_price"] = broken
        answer = await site.api("POST", f"{path}/bulk", json={"invoices": [taxed_invoice_body(client), one]})
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid"), broken


NOT_CLIENTS = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b'{"name": NaN}',
    b"[" * 20_000,
    b'{"name":' * 5_000,
    json.dumps({**CLIENT, "status": "paid"}).encode(),
    json.dumps({**CLIENT, "clinic_id": str(uuid4())}).encode(),
    json.dumps({**CLIENT, "name": "A\x00B"}).encode(),
    json.dumps({**CLIENT, "login": {"password": "short"}}).encode(),
    json.dumps({**CLIENT, "name": "\ud83d"}).encode(),
    json.dumps({**CLIENT, "name": "n" * 10_000}).encode(),
]


async def test_bad_bodies_are_400_with_a_code(site: Site) -> None:
    clinic = await create_clinic(site)
    for body in NOT_CLIENTS:
        answer = await site.api("POST", f"/clinics/{clinic['id']}/clients", content=body)
        assert answer.status_code == 400, (body[:80], answer.text)
        assert answer.json()["code"] == "request_invalid"
        assert "correct horse" not in answer.text


async def test_a_body_over_the_cap_is_413(site: Site) -> None:
    clinic = await create_clinic(site)
    answer = await site.api("POST", f"/clinics/{clinic['id']}/clients", content=b" " * (1024 * 1024 + 1))

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_only_the_api_is_in_its_openapi_document(site: Site) -> None:
    document = (await site.get("/api/v1/openapi.json")).json()

    assert document["openapi"].startswith("3.1")
    assert document["paths"] and all(
        path.startswith(("/api/v1/cl", "/api/v1/api-keys")) for path in document["paths"]
    )
    create = document["paths"]["/api/v1/clinics"]["post"]
    assert "Idempotency-Key" in [each["name"] for each in create["parameters"]]
    assert create["security"] == [{"api_key": []}]
    assert document["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"


DOCS = Path(__file__).resolve().parents[2] / "docs"
_CALL = re.compile(
    r"""curl [^"]*?(?:-X (?P<method>[A-Z]+) )?"\$API(?P<path>[^"]*)"[^\']*? -d \'(?P<body>\{.*?\})\'(?= |\n)""",
    re.DOTALL,
)


async def test_the_bodies_in_the_document_for_integrators_do_what_it_says(site: Site) -> None:
    text = (DOCS / "integrating.md").read_text().replace("\\\n ", "")
    known, answers = {"CLINIC": "", "CLIENT": ""}, []
    for call in _CALL.finditer(text):
        path, body = call["path"], call["body"].replace("'\"$CLIENT\"'", known["CLIENT"])
        for name, value in known.items():
            path = path.replace(f"${name}", value)
        if re.search(r"\$[A-Z]", path + body):
            continue  # `test_documented_examples` makes the rows that these name
        answer = await site.api(call["method"] or "POST", path, json=json.loads(body))
        assert answer.is_success, (path, body, answer.text)
        answers.append((call["method"] or "POST", call["path"], answer.json()))
        if made := {"clinics": "CLINIC", "clients": "CLIENT"}.get(path.rpartition("/")[2]):
            known[made] = answer.json()["id"]

    assert len(answers) >= 8
    issued = [made for _, path, made in answers if path.endswith("/invoices")]
    exempt = [
        [tax["tax"]["minor"] for tax in made["taxes"]] for made in issued if made["total"]["minor"] == 6000
    ]
    assert exempt == [[0]]
