"""Secrets are replaced under traffic, and no request is refused: roles' passwords, tokens' keys, Stripe's secret."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from joserfc.jwk import OKPKey

from services.chassis.db.connecting import Connector
from services.chassis.db.database import Database
from services.chassis.http.auth import TokenMint
from services.chassis.outbox.sources import Settings as OutboxSettings
from services.invoice import app
from services.invoice.settings import Settings
from tests.builders.callers import PRIVATE_KEY, PUBLIC_KEY, a_caller
from tests.running.apps import Client, calling
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, a_login, a_portal, a_site
from tests.running.settings import COMMON
from tests.service import test_payment_webhooks as webhooks

NEW = "the-new-password"


def with_password(dsn: str, password: str) -> str:
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"{parts.username}:{password}@{parts.hostname}:{parts.port}").geturl()


@asynccontextmanager
async def changed_password(db: ServiceDb, password: str) -> AsyncIterator[None]:
    """The role of the API has another password while the block runs."""
    parts = urlsplit(db.api_dsn)
    await db.admin.execute(f"ALTER ROLE {parts.username} PASSWORD '{password}'")
    try:
        yield
    finally:
        await db.admin.execute(f"ALTER ROLE {parts.username} PASSWORD '{parts.password}'")


class Traffic:
    """Requests at once and one after the other, until it is stopped: the answers' statuses."""

    def __init__(self, ask: Callable[[], Awaitable[int]]) -> None:
        self._ask, self.statuses = ask, list[int]()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._drive()) for _ in range(4)]
        try:
            yield
            await self.pass_by(40)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self) -> None:
        while True:
            self.statuses.append(await self._ask())
            await asyncio.sleep(0)

    async def pass_by(self, more: int) -> None:
        """Wait until so many requests more are answered."""
        wanted = len(self.statuses) + more
        async with asyncio.timeout(30):
            while len(self.statuses) < wanted:
                await asyncio.sleep(0.005)


async def renewed(db: Database, traffic: Traffic) -> None:
    """Requests go over connections that were opened after this."""
    await (await db.opened()).expire_connections()
    await traffic.pass_by(40)


@pytest.mark.parametrize("way", ["file", "environment"])
async def test_a_new_password_refuses_no_request(
    db_invoice: ServiceDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    old, new = db_invoice.api_dsn, with_password(db_invoice.api_dsn, NEW)
    place = tmp_path / "url"
    place.write_text(old)
    given = COMMON | {"database_url": old, "database_url_next": new if way == "environment" else None}
    if way == "file":
        monkeypatch.setenv("DATABASE_URL_FILE", str(place))
    made = app.api(Settings.model_validate(given))
    db: Database = made.state.db
    async with calling(made, "invoice") as service:
        traffic = Traffic(lambda: _asked(service))
        async with traffic.running():
            await traffic.pass_by(20)
            place.write_text(new)  # before the server knows it
            await renewed(db, traffic)
            async with changed_password(db_invoice, NEW):
                await renewed(db, traffic)
                await renewed(db, traffic)

    assert set(traffic.statuses) == {200}


async def test_a_password_that_nobody_knows_is_a_503_and_passes(db_invoice: ServiceDb) -> None:
    made = app.api(Settings(database_url=db_invoice.api_dsn, **COMMON))
    async with calling(made, "invoice") as service:
        async with changed_password(db_invoice, NEW):
            assert await _asked(service) == 503
        assert await _asked(service) == 200


async def test_the_relay_reads_its_passwords_again(
    db_invoice: ServiceDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "urls"
    place.write_text("invoice=postgresql://nobody:wrong@127.0.0.1:1/none")
    monkeypatch.setenv("RELAY_DATABASE_URLS_FILE", str(place))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("HTTP_PORT", "1")
    settings = OutboxSettings()
    connector = Connector(lambda: settings.urls_of("invoice"))
    place.write_text(f"invoice={with_password(db_invoice.relay_dsn, 'wrong')}")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connector.connect(timeout=5)
    place.write_text(f"invoice={db_invoice.relay_dsn}")
    connection = await connector.connect(timeout=5)
    await connection.close()


async def test_a_new_token_key_refuses_no_request(db_invoice: ServiceDb) -> None:
    private, public = a_key()
    keys = {"keys": [json.loads(PUBLIC_KEY), json.loads(public)]}
    made = app.api(
        Settings(database_url=db_invoice.api_dsn, **COMMON | {"internal_token_public_key": json.dumps(keys)})
    )
    async with calling(made, "invoice") as service:
        mints = [TokenMint(PRIVATE_KEY)]
        traffic = Traffic(lambda: _asked(service, mints[-1]))
        async with traffic.running():
            await traffic.pass_by(20)
            mints.append(TokenMint(f'{{"keys": [{private}, {PRIVATE_KEY}]}}'))
            await traffic.pass_by(20)
            mints.append(TokenMint(private))

    assert set(traffic.statuses) == {200}


async def test_forms_of_pages_from_before_the_new_key_work(db_gateway: ServiceDb) -> None:
    """Two gateways share the work while keys are replaced, so each accepts the other's pages."""
    await a_login(db_gateway.api, await a_portal(db_gateway.api))
    private, _ = a_key()
    steps = (
        PRIVATE_KEY,
        f'{{"keys": [{PRIVATE_KEY}, {private}]}}',
        f'{{"keys": [{private}, {PRIVATE_KEY}]}}',
    )
    for before, after in [(0, 1), (1, 0), (1, 2), (2, 1)]:
        async with (
            a_site(db_gateway, internal_token_private_key=steps[before]) as one,
            a_site(db_gateway, internal_token_private_key=steps[after]) as other,
        ):
            form = {"_csrf_token": await one.csrf(), "email": "ann@example.com", "password": PASSWORD}
            other.client.cookies.update(one.client.cookies)
            assert (await other.client.post("/login", data=form)).status_code == 303


async def test_a_cookie_of_a_key_that_is_gone_gets_a_new_one_with_the_page(db_gateway: ServiceDb) -> None:
    private, _ = a_key()
    async with (
        a_site(db_gateway) as one,
        a_site(db_gateway, internal_token_private_key=private) as other,
    ):
        stale = await one.csrf()
        other.client.cookies.update(one.client.cookies)
        refused = await other.client.post("/login", data={"_csrf_token": stale})
        assert (refused.status_code, refused.headers["location"][:6]) == (303, "/login")
        assert (await other.log_in("ann@example.com", "wrong horse battery")).status_code == 401


async def test_a_new_webhook_secret_refuses_no_webhook() -> None:
    """Both are set while Stripe signs with the old one, and goes over to the new one."""
    body = webhooks.raw(webhooks.an_event("customer.created"))
    secrets = [webhooks.OLD]
    async with webhooks.an_edge(webhooks.NOBODY) as edge:

        async def sent() -> int:
            return int((await webhooks.send(edge, body, webhooks.signed(body, secrets[-1]))).status_code)

        traffic = Traffic(sent)
        async with traffic.running():
            await traffic.pass_by(20)
            secrets.append(webhooks.NEW)

    assert set(traffic.statuses) == {200}


def a_key() -> tuple[str, str]:
    key = OKPKey.generate_key("Ed25519")
    return json.dumps(key.as_dict(private=True)), json.dumps(key.as_dict(private=False))


async def _asked(service: Client, mint: TokenMint | None = None) -> int:
    caller = a_caller("operator")
    sent: dict[str, Any] = {}
    if mint is not None:
        sent = {"headers": {"Authorization": f"Bearer {mint.token(audience='invoice', caller=caller)}"}}
    return (await service.call("GET", "/clinics", None if mint else caller, **sent)).status_code
