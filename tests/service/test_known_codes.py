"""Languages and countries of clients over the public API: what nobody can name is refused, what was there stays."""

from typing import Any

import pytest

from tests.running.databases import ServiceDb
from tests.running.gateway import CLIENT, Site, create_client, create_clinic


@pytest.mark.parametrize(
    ("wrong", "code", "listed"),
    [
        ({"language": "xx"}, "unknown_language", "languages"),
        ({"billing_address": {"city": "Cork", "country": "XX"}}, "invalid_address", "countries"),
    ],
)
async def test_a_code_that_nobody_knows_is_refused_with_the_list_and_changes_nothing(
    site: Site, wrong: dict[str, Any], code: str, listed: str
) -> None:
    oak = await create_clinic(site)
    ann = await create_client(site, oak)
    clients = f"/clinics/{oak['id']}/clients"
    before = (await site.api("GET", f"{clients}/{ann['id']}")).json()

    refused = [
        await site.api("POST", clients, json={**CLIENT, "email": "new@example.com", **wrong}),
        await site.api(
            "PATCH", f"{clients}/{ann['id']}", json={"name": "Other", "email": "b@example.com", **wrong}
        ),
    ]

    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert {"en", "IE"} & set(answer.json()[listed])
    assert len((await site.api("GET", clients)).json()["items"]) == 1
    assert (await site.api("GET", f"{clients}/{ann['id']}")).json() == before


async def test_codes_of_before_the_rule_stay(
    site: Site, db_invoice: ServiceDb, db_notification: ServiceDb
) -> None:
    oak = await create_clinic(site)
    ann = await create_client(site, oak, billing_address={"city": "Cork", "country": "IE"})
    at = f"/clinics/{oak['id']}/clients/{ann['id']}"
    country = """UPDATE clients SET billing_address = jsonb_set(billing_address, '{country}', '"XX"')"""
    await db_invoice.admin.execute(country)
    await db_notification.admin.execute("UPDATE contacts SET language = 'xx'")

    change = {"name": "Ann Kelly", "email": "kelly@example.com", "billing_address": {"city": "Galway"}}
    changed = await site.api("PATCH", at, json=change)

    assert changed.status_code == 200, changed.text
    now = (await site.api("GET", at)).json()
    assert (now["name"], now["language"], now["billing_address"]["country"]) == ("Ann Kelly", "xx", "XX")
