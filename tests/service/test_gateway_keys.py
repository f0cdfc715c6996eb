"""API keys: listed, rolled, revoked, by operators alone; and the keys and logins of settings and of the demo."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.chassis import audit
from services.gateway.api.keys import actions as api_keys
from services.gateway.api.keys.actions import keep_settings_keys
from services.gateway.settings import DEMO_OPERATOR_KEY
from tests.builders.callers import a_caller
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site, a_portal, a_site
from tests.running.settings import OPERATOR_KEY, gateway_settings

OLD, NEW = "an-old-operator-key", "a-new-operator-key"


@pytest.fixture
async def site(db_gateway: ServiceDb) -> AsyncIterator[Site]:
    async with a_site(db_gateway) as site:
        yield site


async def a_key(site: Site, clinic_id: UUID | None = None, name: str = "books") -> tuple[str, str]:
    """(id, secret) of a new key."""
    caller = a_caller("operator", clinic_id or audit.INSTALLATION)
    async with site.db.tx(caller.clinic, operator=True) as tx:
        made = await api_keys.make(tx, caller, name)
    return str(made.id), made.secret


async def works(site: Site, key: str) -> bool:
    answer = await site.api("GET", f"/clinics/{uuid4()}/api-keys", key=key)
    assert answer.status_code != 401 or answer.json()["code"] == "api_key_invalid"
    return bool(answer.status_code != 401)


async def listed(site: Site, path: str = "/api-keys") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await site.api("GET", path)).json()["items"]
    return items


async def test_a_key_is_made_used_listed_and_revoked(site: Site) -> None:
    made = (await site.api("POST", "/api-keys", json={"name": "deployment"})).json()
    first = next(each for each in await listed(site) if each["id"] == made["id"])
    assert (first["name"], first["role"], first["last_used_at"]) == ("deployment", "operator", None)
    assert made["api_key"].startswith(first["prefix"]) and len(first["prefix"]) == 8
    assert made["api_key"] not in str(await listed(site))

    assert await works(site, made["api_key"])
    used = next(each for each in await listed(site) if each["id"] == made["id"])
    assert used["last_used_at"] is not None
    assert await works(site, made["api_key"])
    assert next(each for each in await listed(site) if each["id"] == made["id"]) == used, "once a minute"

    assert (await site.api("DELETE", f"/api-keys/{made['id']}")).status_code == 204
    assert not await works(site, made["api_key"])
    assert made["id"] not in [each["id"] for each in await listed(site)]
    again = await site.api("DELETE", f"/api-keys/{made['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "api_key_not_found")


async def test_a_revoked_an_expired_and_an_unknown_key_get_the_same_answer(
    site: Site, db_gateway: ServiceDb
) -> None:
    revoked, expired = await a_key(site), await a_key(site)
    await site.api("DELETE", f"/api-keys/{revoked[0]}")
    await db_gateway.admin.execute(
        "UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id = $1", UUID(expired[0])
    )
    answers = [
        await site.api("GET", "/api-keys", key=key) for key in (revoked[1], expired[1], "cpk_" + "x" * 43)
    ]
    assert [answer.status_code for answer in answers] == [401] * 3
    assert len({answer.text for answer in answers}) == 1


async def test_a_rolled_key_works_on_for_its_overlap_and_is_the_same_asker(
    site: Site, db_gateway: ServiceDb
) -> None:
    key_id, secret = await a_key(site)
    rolled = (await site.api("POST", f"/api-keys/{key_id}/roll", json={"overlap_hours": 2})).json()

    assert await works(site, secret) and await works(site, rolled["api_key"])
    old = next(each for each in await listed(site) if each["id"] == key_id)
    assert (old["replaced_by"], old["expires_at"] is not None) == (rolled["id"], True)
    found = [await api_keys.find(site.db, each) for each in (secret, rolled["api_key"])]
    assert {str(each.id) for each in found if each} == {key_id}, "idempotency keys stay its own"

    twice = await site.api("POST", f"/api-keys/{key_id}/roll", json={})
    assert (twice.status_code, twice.json()["code"]) == (409, "api_key_already_rolled")
    await db_gateway.admin.execute(
        "UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE expires_at IS NOT NULL"
    )
    assert not await works(site, secret) and await works(site, rolled["api_key"])


async def test_a_roll_without_overlap_ends_the_old_key_at_once(site: Site) -> None:
    key_id, secret = await a_key(site)
    rolled = (await site.api("POST", f"/api-keys/{key_id}/roll", json={"overlap_hours": 0})).json()
    assert not await works(site, secret) and await works(site, rolled["api_key"])


@pytest.mark.parametrize("hours", [-1, 24 * 90 + 1, 1.5, "24", None])
async def test_an_overlap_is_up_to_ninety_days(site: Site, hours: Any) -> None:
    key_id, secret = await a_key(site)
    answer = await site.api("POST", f"/api-keys/{key_id}/roll", json={"overlap_hours": hours})
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert len(await listed(site)) == 2 and await works(site, secret)


async def test_the_last_operators_key_stays(site: Site) -> None:
    (only,) = await listed(site)
    refused = await site.api("DELETE", f"/api-keys/{only['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "last_operator_key")

    other, _ = await a_key(site)
    await site.api("POST", f"/api-keys/{other}/roll", json={})
    revoked = await asyncio.gather(
        *(site.api("DELETE", f"/api-keys/{each['id']}") for each in await listed(site))
    )
    assert sorted(answer.status_code for answer in revoked).count(204) >= 1
    async with site.db.tx(audit.INSTALLATION, operator=True) as tx:
        left = await api_keys.list_keys(tx, a_caller("operator", audit.INSTALLATION))
    assert [each for each in left if each.expires_at is None], "one that does not expire"


async def test_a_clinics_key_reaches_no_keys_and_an_operator_reaches_a_clinics(site: Site) -> None:
    oak, elm = await a_portal(site.db), await a_portal(site.db, "elm")
    key_id, secret = await a_key(site, oak)
    operators = await a_key(site)
    for method, path, body in (
        ("GET", "/api-keys", None),
        ("POST", "/api-keys", {"name": "x"}),
        ("POST", f"/api-keys/{operators[0]}/roll", {}),
        ("DELETE", f"/api-keys/{operators[0]}", None),
        ("GET", f"/clinics/{oak}/api-keys", None),
        ("POST", f"/clinics/{oak}/api-keys/{key_id}/roll", {}),
        ("DELETE", f"/clinics/{oak}/api-keys/{key_id}", None),
    ):
        answer = await site.api(method, path, key=secret, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "operator_only"), path
    for wrong in (
        f"/api-keys/{key_id}",
        f"/clinics/{elm}/api-keys/{key_id}",
        f"/clinics/{oak}/api-keys/{uuid4()}",
    ):
        assert (await site.api("DELETE", wrong)).status_code == 404
        assert (await site.api("POST", f"{wrong}/roll", json={})).status_code == 404
    assert await works(site, secret)

    rolled = (await site.api("POST", f"/clinics/{oak}/api-keys/{key_id}/roll", json={})).json()
    assert (await site.api("DELETE", f"/clinics/{oak}/api-keys/{key_id}")).status_code == 204
    assert not await works(site, secret)
    found = await api_keys.find(site.db, rolled["api_key"])
    assert found is not None and (found.role, found.clinic_id) == ("clinic", oak)


async def test_what_is_done_with_keys_is_kept_in_the_audit_log(site: Site, db_gateway: ServiceDb) -> None:
    oak = await a_portal(site.db)
    key_id, _ = await a_key(site, oak)
    rolled = (await site.api("POST", f"/clinics/{oak}/api-keys/{key_id}/roll", json={})).json()
    await site.api("DELETE", f"/clinics/{oak}/api-keys/{rolled['id']}")
    rows = await db_gateway.admin.fetch(
        "SELECT action FROM audit WHERE clinic_id = $1 AND action LIKE '%api_key%' ORDER BY seq", oak
    )
    assert [row["action"] for row in rows] == [
        *("create_api_key", "create_api_key", "roll_api_key", "revoke_api_key")
    ]


async def test_a_start_revokes_the_keys_that_settings_name_no_more(site: Site) -> None:
    db, made = site.db, (await a_key(site))[1]
    await keep_settings_keys(db, [OLD], demo=False)
    assert await works(site, OLD) and not await works(site, OPERATOR_KEY)
    await keep_settings_keys(db, [OLD, NEW], demo=False)
    assert await works(site, OLD) and await works(site, NEW)
    await keep_settings_keys(db, [NEW], demo=False)
    assert not await works(site, OLD) and await works(site, NEW)
    assert await works(site, made), "made by an operator, not named by settings"


async def test_a_process_that_starts_with_yesterdays_settings_takes_no_key_away(site: Site) -> None:
    db = site.db
    await keep_settings_keys(db, [OLD], demo=False)
    await keep_settings_keys(db, [OLD, NEW], demo=False)
    await keep_settings_keys(db, [OLD], demo=False)
    assert await works(site, OLD) and await works(site, NEW)
    await keep_settings_keys(db, [NEW], demo=False)
    await keep_settings_keys(db, [OLD], demo=False)
    assert not await works(site, OLD) and await works(site, NEW)


async def test_the_demos_key_and_logins_work_in_demo_mode_alone(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway, demo=True, bootstrap_operator_key=DEMO_OPERATOR_KEY) as site:
        await keep_settings_keys(site.db, [DEMO_OPERATOR_KEY], demo=True)
        oak = await a_portal(site.db)
        own = await a_key(site)
        for key, email in ((DEMO_OPERATOR_KEY, "demo@practice.test"), (own[1], "real@practice.test")):
            found = await api_keys.find(site.db, key)
            assert found is not None
            await _a_staff_login(site, oak, found.id, email)
        assert (await site.log_in("demo@practice.test")).status_code == 303

    async with a_site(db_gateway) as site:
        await keep_settings_keys(site.db, [OPERATOR_KEY], demo=False)
        assert not await works(site, DEMO_OPERATOR_KEY) and await works(site, own[1])
        assert (await site.log_in("demo@practice.test")).status_code == 401
        assert (await site.log_in("real@practice.test")).status_code == 303

    async with a_site(db_gateway, demo=True, bootstrap_operator_key=DEMO_OPERATOR_KEY) as site:
        await keep_settings_keys(site.db, [DEMO_OPERATOR_KEY], demo=True)
        assert await works(site, DEMO_OPERATOR_KEY)
        assert (await site.log_in("demo@practice.test")).status_code == 303


async def _a_staff_login(site: Site, clinic_id: UUID, made_by: UUID, email: str) -> None:
    from services.chassis.http.auth import Caller
    from services.gateway.accounts import actions

    hashed = await site.passwords.hash(PASSWORD)
    caller = Caller(made_by, "operator", clinic_id)
    async with site.db.tx(clinic_id, operator=True) as tx:
        await actions.put_login(
            tx, email=email, password_hash=hashed, caller=caller, client_id=None, role="staff"
        )


def test_settings_may_name_two_keys_and_not_the_demos_outside_the_demo() -> None:
    assert gateway_settings("postgresql://x", bootstrap_operator_key=f"{OLD}, {NEW}").operator_keys == (
        OLD,
        NEW,
    )
    for wrong in (DEMO_OPERATOR_KEY, f"{NEW},{DEMO_OPERATOR_KEY}", "short"):
        with pytest.raises(ValueError, match="BOOTSTRAP_OPERATOR_KEY"):
            gateway_settings("postgresql://x", bootstrap_operator_key=wrong)
    assert gateway_settings(
        "postgresql://x", bootstrap_operator_key=DEMO_OPERATOR_KEY, demo=True
    ).operator_keys
