"""A client who is erased at invoice has no login any more; the login of who is a client elsewhere stays."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from services.chassis.db.database import Database
from services.chassis.ids import new_id
from services.gateway import jobs
from services.gateway.accounts import store as accounts
from services.gateway.accounts.erasures import actions, store
from services.gateway.upstream.calls import UpstreamError
from services.invoice.erasures import actions as invoice
from tests.running.databases import ServiceDb
from tests.running.gateway import CLIENT, PASSWORD, a_login, create_client, create_clinic
from tests.running.letters import Post, a_post, link_in
from tests.service.waiting import until_waiting

PAGE = {"Accept": "text/html"}
OF_A_LOGIN = ("logins", "memberships", "sessions", "passkeys", "second_factors", "links", "invitations")


async def erase(post: Post, *clients: Any) -> None:
    """Erase clients at invoice, and let the gateway ask."""
    ids = [client["id"] for client in clients]
    await post.invoice.admin.execute(
        "UPDATE clients SET erase_after = current_date WHERE id = ANY($1::uuid[])", ids
    )
    await invoice.erase_due(post.invoice.worker)
    await look(post)


async def an_erased_client(post: Post) -> tuple[Any, Any, Any]:
    """A clinic, its client whom invoice has erased and the gateway has not asked about, and another clinic."""
    oak = await create_clinic(post.site)
    client = await create_client(post.site, oak)
    elm = await create_clinic(post.site, slug="elm", name="Elm Clinic")
    await post.invoice.admin.execute("UPDATE clients SET erase_after = current_date")
    await invoice.erase_due(post.invoice.worker)
    return oak, client, elm


async def look(post: Post) -> None:
    await actions.end_erased(post.site.db, post.site.app.state.upstreams)


async def rows(post: Post, table: str) -> int:
    return int(await post.gateway.admin.fetchval(f"SELECT count(*) FROM {table}"))


async def test_the_login_goes_with_all_that_hangs_on_it(post: Post) -> None:
    clinic = await create_clinic(post.site)
    client = await create_client(post.site, clinic)
    await post.site.log_in("ann@example.com", next="/c/oak")
    assert (await post.site.get("/c/oak", headers=PAGE)).status_code == 200
    await look(post)
    assert await rows(post, "logins") == 1, "nobody is erased yet"

    await erase(post, client)

    assert [await rows(post, table) for table in OF_A_LOGIN] == [0] * len(OF_A_LOGIN)
    page = await post.site.get("/c/oak", headers=PAGE)
    assert page.status_code == 303 and page.headers["location"].startswith("/login")
    assert (await post.site.log_in("ann@example.com", PASSWORD)).status_code != 303
    shown = await post.site.api("GET", f"/clinics/{clinic['id']}/clients/{client['id']}")
    assert shown.json()["erased"] and shown.json()["name"] == ""


@pytest.mark.parametrize("elsewhere", ["open", "waits", "declined", "staff"])
async def test_a_login_stays_while_another_clinic_is_open_to_it_or_waits(post: Post, elsewhere: str) -> None:
    oak = await create_clinic(post.site)
    client = await create_client(post.site, oak)
    elm = await create_clinic(post.site, slug="elm", name="Elm Clinic")
    if elsewhere == "staff":
        await a_login(post.site.db, elm["id"], role="staff")
    else:
        await create_client(post.site, elm)
    if elsewhere in ("open", "declined"):
        answer = "accepted_at = now()" if elsewhere == "open" else "declined_at = now()"
        await post.gateway.admin.execute(f"UPDATE memberships SET {answer} WHERE clinic_id = $1", elm["id"])

    await erase(post, client)

    left = await post.gateway.admin.fetch("SELECT clinic_id FROM memberships")
    if elsewhere == "declined":
        assert await rows(post, "logins") == 0 and left == []
    else:
        assert [str(row["clinic_id"]) for row in left] == [elm["id"]]
        assert await rows(post, "logins") == 1


async def test_an_invitation_of_an_erased_client_opens_nothing_and_keeps_no_address(post: Post) -> None:
    clinic = await create_clinic(post.site)
    client = await create_client(post.site, clinic, login=None, invite=True)
    link = link_in(await post.one())

    await erase(post, client)

    assert await rows(post, "invitations") == 0 == await rows(post, "links")
    assert (await post.site.get(link, headers=PAGE)).status_code == 404


async def test_more_clients_than_one_look_and_several_clinics_are_looked_at(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "AT_ONCE", 2)
    made = []
    for slug in ("oak", "elm"):
        clinic = await create_clinic(post.site, slug=slug)
        made += [
            await create_client(post.site, clinic, email=f"{name}@{slug}.example") for name in ("a", "b", "c")
        ]

    await erase(post, *made[1:])

    assert await post.gateway.admin.fetchval("SELECT email FROM logins") == "a@oak.example"


async def test_while_invoice_does_not_answer_nothing_ends_and_the_job_says_so(post: Post) -> None:
    clinic = await create_clinic(post.site)
    client = await create_client(post.site, clinic)
    await post.invoice.admin.execute("ALTER TABLE clients RENAME TO away")

    with pytest.raises(UpstreamError):
        await look(post)
    assert await rows(post, "memberships") == 1

    await post.invoice.admin.execute("ALTER TABLE away RENAME TO clients")
    await erase(post, client)
    assert await rows(post, "logins") == 0


async def test_the_gateway_looks_by_itself(
    db_gateway: ServiceDb,
    db_invoice: ServiceDb,
    db_payment: ServiceDb,
    db_notification: ServiceDb,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "ERASED_SECONDS", 0.02)
    async with a_post(db_gateway, db_invoice, db_payment, db_notification) as post:
        client = await create_client(post.site, await create_clinic(post.site))
        await db_invoice.admin.execute(
            "UPDATE clients SET erase_after = current_date WHERE id = $1", client["id"]
        )
        await invoice.erase_due(db_invoice.worker)
        async with asyncio.timeout(20):
            while await rows(post, "logins"):
                await asyncio.sleep(0.01)


async def test_a_login_that_is_given_a_clinic_while_it_is_erased_is_there_afterwards(
    post: Post, db_gateway: ServiceDb
) -> None:
    oak, client, elm = await an_erased_client(post)
    deleting = Database(db_gateway.api_dsn)
    try:
        async with deleting.tx(oak["id"], operator=True) as tx:
            lost = await store.delete_memberships(tx, oak["id"], [client["id"]])
            await store.delete_unused(tx, lost)
            adding = asyncio.create_task(create_client(post.site, elm))
            await until_waiting(db_gateway, adding)
        await adding
    finally:
        await deleting.close()

    found = await db_gateway.admin.fetch(
        "SELECT clinic_id FROM memberships JOIN logins ON logins.id = login_id WHERE email = 'ann@example.com'"
    )
    assert [str(row["clinic_id"]) for row in found] == [elm["id"]]


async def test_a_login_that_is_found_is_kept_for_the_clinic_that_it_is_given(
    post: Post, db_gateway: ServiceDb
) -> None:
    _, client, elm = await an_erased_client(post)
    async with post.site.db.tx(UUID(elm["id"]), operator=True) as tx:
        assert not await accounts.add_login(tx, new_id(), "ann@example.com", "hash", None, new_id())
        login = await accounts.get_login(tx, "ann@example.com")
        assert login is not None
        erasing = asyncio.create_task(look(post))
        await until_waiting(db_gateway, erasing)
        place = accounts.ClinicAccess(UUID(client["id"]), "client", active=True)
        await accounts.add_membership(tx, UUID(elm["id"]), login.id, place)
    await erasing

    found = await db_gateway.admin.fetch(
        "SELECT clinic_id FROM memberships JOIN logins ON logins.id = login_id"
    )
    assert [str(row["clinic_id"]) for row in found] == [elm["id"]]


async def test_an_erased_client_who_is_added_again_is_one_again_in_every_service(post: Post) -> None:
    """A program that sends its request again after months has a key that nobody remembers."""
    clinic = await create_clinic(post.site)
    path, key = f"/clinics/{clinic['id']}/clients", {"Idempotency-Key": "ann"}
    client = (await post.site.api("POST", path, json=CLIENT, headers=key)).json()
    await erase(post, client)
    await post.gateway.admin.execute("DELETE FROM key_uses")
    await post.notification.admin.execute("DELETE FROM contacts")

    again = (await post.site.api("POST", path, json=CLIENT, headers=key)).json()

    assert again == client and not again["erased"]
    assert (
        await post.invoice.admin.fetchval("SELECT name FROM clients WHERE erased_at IS NULL") == "Ann Byrne"
    )
    assert (await post.site.log_in("ann@example.com", next="/c/oak")).status_code == 303
