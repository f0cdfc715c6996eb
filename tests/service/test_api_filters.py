"""Filters for integrators: a client by e-mail, and the invoices that changed since they asked last."""

from typing import Any

import pytest

from tests.builders.invoices import taxed_invoice_body
from tests.running.databases import ServiceDb
from tests.running.gateway import CLIENT, CLINIC, Site

EARLY = "2020-01-01T00:00:00Z"


async def pages(site: Site, path: str, **params: Any) -> list[Any]:
    """The items of all pages, each of two."""
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await site.api("GET", path, params={"limit": 2, **params, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= 2
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


async def a_clinic(site: Site, slug: str = "oak") -> str:
    return f"/clinics/{(await site.api('POST', '/clinics', json={**CLINIC, 'slug': slug})).json()['id']}"


async def a_client(site: Site, at: str, **changed: Any) -> Any:
    body = {**CLIENT, **changed}
    body.pop("login")
    made = await site.api("POST", f"{at}/clients", json=body)
    assert made.status_code == 201, made.text
    return made.json()


async def test_a_client_is_found_by_its_address_whatever_its_case(site: Site) -> None:
    at, other = await a_clinic(site), await a_clinic(site, "elm")
    family = [
        await a_client(site, at, name=name, email="Doyle@example.com") for name in ("Ann", "Bea", "Cid")
    ]
    await a_client(site, at, email="ann@example.com")
    await a_client(site, other, email="doyle@example.com")

    found = await pages(site, f"{at}/clients", email="doyle@EXAMPLE.com")

    assert {each["id"] for each in found} == {each["id"] for each in family}
    assert await pages(site, f"{at}/clients", email="nobody@example.com") == []
    refused = await site.api("GET", f"{at}/clients", params={"email": "doyle@"})
    assert (refused.status_code, refused.json()["code"]) == (422, "email_not_valid")


async def test_a_changed_address_is_found_under_the_new_one_alone(site: Site) -> None:
    at = await a_clinic(site)
    client = await a_client(site, at)
    await site.api("PATCH", f"{at}/clients/{client['id']}", json={"email": "bea@example.com"})

    assert await pages(site, f"{at}/clients", email=CLIENT["email"]) == []
    assert [each["id"] for each in await pages(site, f"{at}/clients", email="bea@example.com")] == [
        client["id"]
    ]


async def test_invoices_that_changed_come_in_the_order_of_their_change(
    site: Site, db_invoice: ServiceDb
) -> None:
    at = await a_clinic(site)
    client, other = await a_client(site, at), await a_client(site, at, email="bea@example.com")
    made = [
        (await site.api("POST", f"{at}/invoices", json=taxed_invoice_body(each))).json()
        for each in (client, other, client, client)
    ]
    # As a booked movement does it: the first is now the newest change.
    await db_invoice.admin.execute(
        "UPDATE invoices SET changed_at = changed_at + interval '1 hour' WHERE id = $1", made[0]["id"]
    )
    changed = [made[each]["id"] for each in (1, 2, 3, 0)]

    found = await pages(site, f"{at}/invoices", updated_since=EARLY)
    assert [each["id"] for each in found] == changed
    since = await pages(site, f"{at}/invoices", updated_since=found[2]["updated_at"])
    assert [each["id"] for each in since] == changed[2:]
    of_client = await pages(site, f"{at}/invoices", updated_since=EARLY, client_id=client["id"])
    assert [each["id"] for each in of_client] == changed[1:]
    assert await pages(site, f"{at}/invoices", updated_since="2099-01-01T00:00:00+02:00") == []


async def test_an_issued_invoice_tells_when_it_changed(site: Site) -> None:
    at = await a_clinic(site)
    body = taxed_invoice_body(await a_client(site, at))
    issued = (await site.api("POST", f"{at}/invoices", json=body)).json()

    assert issued["updated_at"]
    assert issued == (await site.api("GET", f"{at}/invoices/{issued['id']}")).json()


@pytest.mark.parametrize(
    ("params", "fields"),
    [
        ({"updated_since": "yesterday"}, ["updated_since"]),
        ({"updated_since": "2026-01-01"}, ["updated_since"]),
        ({"updated_since": "2026-01-01T00:00:00"}, ["updated_since"]),
        ({"updated_since": "2026"}, ["updated_since"]),
        ({"updated_since": "1767225600.5"}, ["updated_since"]),
        ({"limit": "1e1"}, ["limit"]),
        ({"limit": "10.0"}, ["limit"]),
        ({"client_id": "null"}, ["client_id"]),
        ({"limit": "+5"}, ["limit"]),
        ({"updated_since": "0001-01-01T00:00:00+14:00"}, ["updated_since"]),
        ({"updated_since": "9999-12-31T23:59:59-23:59"}, ["updated_since"]),
        ({"updated_since": EARLY, "status": "paid"}, ["status"]),
    ],
)
async def test_a_value_of_another_kind_is_refused(
    site: Site, params: dict[str, str], fields: list[str]
) -> None:
    answer = await site.api("GET", f"{await a_clinic(site)}/invoices", params=params)
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid"), answer.text
    assert [each["field"] for each in answer.json()["errors"]] == fields


async def test_a_day_and_a_deadline_are_no_numbers_either(site: Site) -> None:
    at = await a_clinic(site)
    client = await a_client(site, at)
    for path, params in (
        (f"{at}/disputes", {"due_before": "2026"}),
        (f"{at}/clients/{client['id']}/statement", {"since": "2026"}),
    ):
        answer = await site.api("GET", path, params=params)
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid"), answer.text
        assert [each["field"] for each in answer.json()["errors"]] == list(params)


@pytest.mark.parametrize(
    ("body", "field"),
    [(b'{"reason": "x"}', "reason"), (b"[]", ""), (b'"x"', ""), (b"{", None), (b"x", None), (b"1", "")],
)
async def test_what_needs_no_body_refuses_one(site: Site, body: bytes, field: str | None) -> None:
    at = await a_clinic(site)
    client = await a_client(site, at)
    invoice = (await site.api("POST", f"{at}/invoices", json=taxed_invoice_body(client))).json()["id"]
    link = f"{at}/invoices/{invoice}/pay-link"
    json_type = {"Content-Type": "application/json"}

    refused = await site.api("POST", f"{link}/revoke", content=body, headers=json_type)

    assert (refused.status_code, refused.json()["code"]) == (400, "request_invalid"), refused.text
    assert [each["field"] for each in refused.json().get("errors", [])] == ([] if field is None else [field])
    assert (await site.api("GET", link)).json()["generation"] == 0
    for empty in (b"", b"{}"):
        answer = await site.api("POST", f"{link}/revoke", content=empty, headers=json_type)
        assert answer.status_code == 200
    assert (await site.api("GET", link)).json()["generation"] == 2


async def test_a_cursor_of_another_list_is_refused(site: Site) -> None:
    at = await a_clinic(site)
    client = await a_client(site, at)
    for _ in range(2):
        await site.api("POST", f"{at}/invoices", json=taxed_invoice_body(client))
    cursors = [
        (await site.api("GET", f"{at}/invoices", params={"limit": 1, **params})).json()["next"]
        for params in ({}, {"updated_since": EARLY})
    ]
    assert all(cursors)
    wrong = [
        await site.api("GET", f"{at}/invoices", params={"cursor": cursors[0], "updated_since": EARLY}),
        await site.api("GET", f"{at}/invoices", params={"cursor": cursors[1]}),
    ]
    assert [(each.status_code, each.json()["code"]) for each in wrong] == [(400, "bad_cursor")] * 2
