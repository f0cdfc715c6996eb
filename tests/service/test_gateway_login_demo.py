"""The demo's logins are named where they open something, and no visitor changes them for the others."""

from collections.abc import AsyncIterator

import pytest

from services.gateway.settings import DEMO_LOGINS, DEMO_PASSWORD
from tests.running.databases import ServiceDb
from tests.running.gateway import Site, a_login, create_client, create_clinic
from tests.running.letters import Post, a_post, link_in

PAGE = {"Accept": "text/html"}
EMAIL = DEMO_LOGINS["Client"]
NEW = "a wholly new passphrase"


@pytest.fixture
async def post(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Post]:
    """In demo mode: the clinic oak, which the demo's client opens, and elm, which is somebody's own."""
    async with a_post(db_gateway, db_invoice, db_payment, db_notification, demo=True) as made:
        oak = await create_clinic(made.site)
        await create_client(made.site, oak, email=EMAIL, login={"password": DEMO_PASSWORD})
        await create_client(made.site, await create_clinic(made.site, slug="elm"))
        yield made


async def shown(site: Site, next: str) -> list[str]:
    page = await site.get("/login", params={"next": next}, headers=PAGE)
    assert page.status_code == 200
    return [each for each in (*DEMO_LOGINS.values(), DEMO_PASSWORD) if f"<dd>{each}</dd>" in page.text]


async def test_the_demos_logins_are_shown_on_pages_of_clinics_that_they_open(post: Post) -> None:
    assert await shown(post.site, "/c/oak/billing") == [EMAIL, DEMO_PASSWORD]
    assert await shown(post.site, "/c/elm") == []
    assert await shown(post.site, "/c/nobody") == []
    assert await shown(post.site, "/") == [*DEMO_LOGINS.values(), DEMO_PASSWORD], "where `up` leads"


async def test_a_login_that_waits_to_be_accepted_is_not_shown(post: Post) -> None:
    elm = await post.gateway.admin.fetchval("SELECT clinic_id FROM portals WHERE slug = 'elm'")
    await a_login(post.site.db, elm, EMAIL, accepts=False)

    assert await shown(post.site, "/c/elm") == []


@pytest.mark.parametrize("next", ["/", "/c/oak"])
async def test_without_the_demo_none_are_shown(site: Site, next: str) -> None:
    await create_client(site, await create_clinic(site), email=EMAIL)

    assert await shown(site, next) == []


@pytest.mark.parametrize(
    ("end", "form"),
    [
        ("password", {"present": DEMO_PASSWORD, "password": NEW}),
        ("email", {"present": DEMO_PASSWORD, "email": "mine@example.com"}),
        ("passkeys", {"present": DEMO_PASSWORD}),
    ],
)
async def test_a_visitor_cannot_change_the_shared_login(post: Post, end: str, form: dict[str, str]) -> None:
    await post.site.log_in(EMAIL, DEMO_PASSWORD)
    page = await post.site.get("/c/oak/profile", headers=PAGE)
    assert "All visitors of the demonstration share this login." in page.text
    assert 'name="present"' not in page.text

    token = post.site.cookie("csrf") or ""
    answer = await post.site.client.post(
        f"/c/oak/profile/{end}", data={"_csrf_token": token, **form}, headers=PAGE, follow_redirects=False
    )

    assert answer.status_code == 409 and "so it stays as it is." in answer.text
    assert await post.settle() == []


async def test_a_visitor_cannot_change_the_shared_password_by_a_link(post: Post) -> None:
    await post.site.post_form("/password", {"email": EMAIL, "next": "/c/oak"}, headers=PAGE)
    link = link_in(await post.one())

    answer = await post.site.post_form(link.partition("?")[0], {"password": NEW}, headers=PAGE)

    assert answer.status_code == 409 and "so it stays as it is." in answer.text
    assert (await post.site.log_in(EMAIL, NEW)).status_code == 401
    assert (await post.site.log_in(EMAIL, DEMO_PASSWORD)).status_code == 303


async def test_another_login_in_the_demo_changes_its_own(post: Post) -> None:
    await post.site.log_in("ann@example.com")
    page = await post.site.get("/c/elm/profile", headers=PAGE)

    # A new password, another address, codes of an app, a passkey.
    assert page.text.count('name="present"') == 4
