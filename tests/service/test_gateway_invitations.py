"""Clients are invited to the portal by e-mail, and make their own logins."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from services.chassis.ids import new_id
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site, create_client, create_clinic
from tests.running.letters import Post, link_in, text_of

PAGE = {"Accept": "text/html"}
OWN = "a passphrase of her own"


async def invite(post: Post, clinic: Any, client: Any, **more: Any) -> Any:
    path = f"/clinics/{clinic['id']}/clients/{client['id']}/invitation"
    return await post.site.api("POST", path, **more)


async def accept(site: Site, link: str, password: str = OWN) -> Any:
    return await site.post_form(link.partition("?")[0], {"password": password}, headers=PAGE)


async def log_in(site: Site, password: str = OWN) -> Any:
    site.client.cookies.clear()
    return await site.log_in("ann@example.com", password, next="/c/oak")


async def clinic_key(site: Site, clinic: Any) -> str:
    made = await site.api("POST", f"/clinics/{clinic['id']}/api-keys", json={"name": "practice"})
    return str(made.json()["api_key"])


async def test_a_client_that_is_added_gets_no_e_mail_unless_the_body_says_so(post: Post) -> None:
    clinic = await create_clinic(post.site)
    await create_client(post.site, clinic, login=None)
    assert await post.settle() == []

    await create_client(post.site, clinic, login=None, invite=True)
    letter = await post.one()
    assert (letter["To"], letter["Subject"]) == ("ann@example.com", "You are invited to your client portal")
    assert "Oak Street Physiotherapy invites you" in text_of(letter)


async def test_an_invited_client_chooses_a_password_and_is_in(post: Post, db_gateway: ServiceDb) -> None:
    clinic = await create_clinic(post.site)
    await create_client(post.site, clinic, login=None, invite=True)
    link = link_in(await post.one())
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM logins") == 0

    for _ in range(2):
        page = await post.site.get(link, headers=PAGE)
        assert page.status_code == 200 and "Oak Street Physiotherapy invites you to its portal" in page.text
        assert "ann@example.com" in page.text
    answer = await accept(post.site, link)

    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fc%2Foak&why=ready")
    assert post.site.cookie("session") is None
    login = await post.site.get(answer.headers["location"], headers=PAGE)
    assert "Your login is ready" in login.text and 'value="ann@example.com"' in login.text
    assert (await log_in(post.site)).headers["location"] == "/c/oak"
    assert (await post.site.get("/c/oak", headers=PAGE)).status_code == 200, "accepted already"
    assert await db_gateway.admin.fetchval("SELECT password_by FROM logins") is None
    again = await post.site.get(link, headers=PAGE)
    assert again.status_code == 404 and "This invitation does not work any more" in again.text


async def test_an_invitation_of_a_known_client_is_sent_once_for_a_key_and_audited(
    post: Post, db_gateway: ServiceDb
) -> None:
    clinic = await create_clinic(post.site)
    client = await create_client(post.site, clinic, login=None)
    key = await clinic_key(post.site, clinic)
    headers = {"Idempotency-Key": "invite-ann"}

    answers = [await invite(post, clinic, client, key=key, headers=headers) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {201}
    assert answers[0].json() == {"client_id": client["id"], "email": "ann@example.com"}
    other = await create_client(post.site, clinic, login=None)
    reused = await invite(post, clinic, other, key=key, headers=headers)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert len(await post.settle()) == 1
    rows = await db_gateway.admin.fetch(
        "SELECT role, subject_id FROM audit WHERE action = 'invite_client' AND clinic_id = $1",
        UUID(clinic["id"]),
    )
    assert [tuple(row) for row in rows] == [("staff", UUID(client["id"]))]


async def test_a_newer_invitation_ends_the_older(post: Post) -> None:
    clinic = await create_clinic(post.site)
    client = await create_client(post.site, clinic, login=None, invite=True)
    first = link_in(await post.one())
    await invite(post, clinic, client)
    second = link_in(await post.one())

    assert (await accept(post.site, first)).status_code == 404
    assert (await accept(post.site, second)).status_code == 303


async def test_four_invitations_at_once_leave_one_link_that_works(post: Post, db_gateway: ServiceDb) -> None:
    clinic = await create_clinic(post.site)
    client = await create_client(post.site, clinic, login=None)

    answers = await asyncio.gather(*(invite(post, clinic, client) for _ in range(4)))

    assert [answer.status_code for answer in answers] == [201] * 4
    letters = await post.settle()
    assert 1 <= len(letters) <= 3, "no more than three an hour"
    codes = [(await post.site.get(link_in(letter), headers=PAGE)).status_code for letter in letters]
    assert codes.count(200) == 1
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM links") == 1


@pytest.mark.parametrize("has_login", [False, True])
async def test_no_clinic_and_no_child_uses_up_the_letters_of_another(post: Post, has_login: bool) -> None:
    """Four children of one family at oak, which invites the first one four times, and their mother at elm."""
    oak, elm = await create_clinic(post.site), await create_clinic(post.site, slug="elm", name="Elm Clinic")
    if has_login:
        await create_client(post.site, oak)
    children = [await create_client(post.site, oak, login=None) for _ in range(4)]
    mother = await create_client(post.site, elm, login=None)

    for _ in range(4):
        await invite(post, oak, children[0])
    assert 1 <= len(await post.settle()) <= 3, "letters whose link a newer one replaced are dropped"
    for child in children[1:]:
        await invite(post, oak, child)
        assert link_in(await post.one())
    await invite(post, elm, mother)
    assert "Elm Clinic invites you" in text_of(await post.one())


async def test_a_clinic_sends_one_address_ten_invitations_an_hour(post: Post) -> None:
    clinic = await create_clinic(post.site)

    for _ in range(11):
        await create_client(post.site, clinic, login=None, invite=True)

    assert len(await post.settle()) == 10


async def test_an_address_with_a_login_gets_an_e_mail_to_log_in_and_accept(post: Post) -> None:
    oak = await create_clinic(post.site)
    await create_client(post.site, oak)
    elm = await create_clinic(post.site, slug="elm", name="Elm Clinic")
    client = await create_client(post.site, elm, login=None)

    answer = await invite(post, elm, client)

    assert answer.json() == {"client_id": client["id"], "email": "ann@example.com"}, "the clinic is not told"
    letter = await post.one()
    assert "Elm Clinic invites you to its portal. You have a login" in text_of(letter)
    assert link_in(letter) == "/login?next=/c/elm"
    await log_in(post.site, PASSWORD)
    page = await post.site.get("/clinics", headers=PAGE)
    assert "Is this for you?" in page.text and "Elm Clinic" in page.text


async def test_a_login_whose_password_a_clinic_knows_needs_one_of_its_own_first(
    post: Post, db_gateway: ServiceDb
) -> None:
    oak = await create_clinic(post.site)
    key = await clinic_key(post.site, oak)
    await post.site.api(
        "POST",
        f"/clinics/{oak['id']}/clients",
        key=key,
        json={"name": "Ann", "email": "ann@example.com", "login": {"password": PASSWORD}},
    )
    elm = await create_clinic(post.site, slug="elm", name="Elm Clinic")
    client = await create_client(post.site, elm, login=None)
    await invite(post, elm, client)

    letter = await post.one()
    assert "another clinic gave you" in text_of(letter) and "Oak" not in text_of(letter)
    assert link_in(letter) == "/password?next=/c/elm"
    await log_in(post.site, PASSWORD)
    assert (await post.site.get("/c/elm", headers=PAGE)).status_code == 404
    assert await db_gateway.admin.fetchval("SELECT password_by FROM logins") is not None


@pytest.mark.parametrize("owner", ["declined", "disabled"])
async def test_who_declined_or_is_switched_off_gets_no_further_e_mail(
    post: Post, db_gateway: ServiceDb, owner: str
) -> None:
    oak = await create_clinic(post.site)
    await create_client(post.site, oak)
    elm = await create_clinic(post.site, slug="elm", name="Elm Clinic")
    client = await create_client(post.site, elm, login=None)
    await invite(post, elm, client)
    await post.one()
    await db_gateway.admin.execute(
        "UPDATE memberships SET declined_at = now() WHERE accepted_at IS NULL"
        if owner == "declined"
        else "UPDATE logins SET disabled_at = now()"
    )

    assert (await invite(post, elm, client)).status_code == 201
    assert await post.settle() == []


async def test_a_familys_second_invitation_connects_the_login_that_the_first_made(
    post: Post, db_gateway: ServiceDb
) -> None:
    clinic = await create_clinic(post.site)
    links = []
    for name in ("Ann Byrne", "Ben Byrne"):
        await create_client(post.site, clinic, name=name, login=None, invite=True)
        links.append(link_in(await post.one()))
    await accept(post.site, links[0])

    page = await post.site.get(links[1], headers=PAGE)
    assert "Connect my login" in page.text and 'type="password"' not in page.text
    answer = await accept(post.site, links[1], "another password that must not count")

    assert answer.headers["location"] == "/login?next=%2Fc%2Foak&why=connected"
    assert (await log_in(post.site, "another password that must not count")).status_code == 401
    await log_in(post.site)
    page = await post.site.get("/clinics", headers=PAGE)
    assert "Ann Byrne" in page.text and "Ben Byrne" in page.text and "Is this for you?" not in page.text


async def test_a_changed_address_ends_the_invitation_that_went_to_the_old_one(post: Post) -> None:
    clinic = await create_clinic(post.site)
    client = await create_client(post.site, clinic, login=None, invite=True, email="wrong@example.com")
    link = link_in(await post.one())

    path = f"/clinics/{clinic['id']}/clients/{client['id']}"
    await post.site.api("PATCH", path, json={"name": "Ann B."})
    assert (await post.site.get(link, headers=PAGE)).status_code == 200
    await post.site.api("PATCH", path, json={"email": "ann@example.com"})

    assert (await accept(post.site, link)).status_code == 404


@pytest.mark.parametrize("change", ["UPDATE links SET ends_at = now()", "DELETE FROM invitations"])
async def test_an_invitation_that_ended_makes_no_login(
    post: Post, db_gateway: ServiceDb, change: str
) -> None:
    await create_client(post.site, await create_clinic(post.site), login=None, invite=True)
    link = link_in(await post.one())
    await db_gateway.admin.execute(change)

    assert (await accept(post.site, link)).status_code == 404
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM logins") == 0


async def test_two_tabs_make_one_login(post: Post, db_gateway: ServiceDb) -> None:
    await create_client(post.site, await create_clinic(post.site), login=None, invite=True)
    path = link_in(await post.one()).partition("?")[0]
    form = {"_csrf_token": await post.site.csrf()}

    answers = await asyncio.gather(
        *(
            post.site.client.post(path, data=form | {"password": f"{OWN} {n}"}, follow_redirects=False)
            for n in range(4)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [303, 404, 404, 404]
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM logins") == 1


async def test_one_kind_of_link_does_not_open_the_page_of_the_other(post: Post) -> None:
    clinic = await create_clinic(post.site)
    await create_client(post.site, clinic, login=None, invite=True)
    invitation = link_in(await post.one()).split("/")[2].partition("?")[0]
    await create_client(post.site, clinic, email="bob@example.com")
    await post.site.post_form("/password", {"email": "bob@example.com"}, headers=PAGE)
    reset = link_in(await post.one()).split("/")[2].partition("?")[0]

    for path in (f"/password/{invitation}", f"/invitation/{reset}"):
        assert (await post.site.get(path, headers=PAGE)).status_code == 404
        assert (await accept(post.site, path)).status_code == 404


async def test_a_short_password_keeps_the_invitation(post: Post) -> None:
    await create_client(post.site, await create_clinic(post.site), login=None, invite=True)
    link = link_in(await post.one())

    refused = await accept(post.site, link, "short")

    assert refused.status_code == 400 and "Use at least 10 characters" in refused.text
    assert (await accept(post.site, link)).status_code == 303


async def test_what_cannot_be_invited_is_refused(post: Post, db_notification: ServiceDb) -> None:
    clinic = await create_clinic(post.site)
    both = {"name": "A", "email": "a@example.com", "login": {"password": PASSWORD}, "invite": True}
    refused = await post.site.api("POST", f"/clinics/{clinic['id']}/clients", json=both)
    assert (refused.status_code, refused.json()["code"]) == (422, "login_or_invitation")
    nobody = await invite(post, clinic, {"id": str(new_id())})
    assert (nobody.status_code, nobody.json()["code"]) == (404, "client_not_found")
    client = await create_client(post.site, clinic, login=None)
    await db_notification.admin.execute("DELETE FROM contacts")
    unreachable = await invite(post, clinic, client)
    assert (unreachable.status_code, unreachable.json()["code"]) == (404, "contact_not_found")
    assert await post.settle() == []
