"""The operators' console in this process, over an installation's databases, as a browser reaches it."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pyotp

from deploy.ops import database
from deploy.ops.console import app
from deploy.ops.console.operators import actions
from deploy.ops.console.settings import Settings
from deploy.ops.workers import WORKED
from services.chassis import clock
from services.chassis.db.database import Database
from tests.running.apps import in_own_task
from tests.running.databases import ServiceDb
from tests.running.gateway import reach
from tests.running.installation import name_in
from tests.running.settings import COMMON, NOBODY

PASSWORD = "correct horse battery"  # pragma: allowlist secret
NAME = "ann@example.com"
REASON = "A test asked for it"
_CSRF = re.compile(r'name="_csrf_token" value="([^"]+)"')
_KEY = re.compile(r'<span class="key">([^<]+)</span>')


@dataclass
class Console:
    """`own` is the gateway's database as the role `ops`."""

    client: httpx2.AsyncClient
    own: Database

    async def get(self, path: str, **more: Any) -> httpx2.Response:
        headers = {"Accept": "text/html"} | more.pop("headers", {})
        return await self.client.get(path, follow_redirects=False, headers=headers, **more)

    async def post(self, path: str, page: str, **data: str | list[str]) -> httpx2.Response:
        """A form that stands on a page."""
        form: dict[str, Any] = {"_csrf_token": await self.token_of(page), **data}
        return await self.client.post(
            path, data=form, follow_redirects=False, headers={"Accept": "text/html"}
        )

    async def token_of(self, page: str) -> str:
        """The token that the forms of a page carry."""
        found = _CSRF.search((await self.get(page)).text)
        assert found is not None, page
        return found[1]

    async def invited(self, name: str = NAME) -> str:
        """The address of the invitation of a new operator."""
        async with self.own.worker_tx() as tx:
            return f"/ops/welcome/{await actions.add(tx, name)}"

    async def set_up(self, link: str, password: str = PASSWORD) -> str:
        """Take an invitation; answers the secret of the app."""
        page = (await self.get(link)).text
        key, sealed = _KEY.search(page), re.search(r'name="sealed" value="([^"]+)"', page)
        token = _CSRF.search(page)
        assert key and sealed and token, page
        secret = key[1].replace(" ", "")
        form = {"password": password, "code": code(secret, -1), "sealed": sealed[1], "_csrf_token": token[1]}
        answer = await self.client.post(link, data=form, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return secret

    async def log_in(self, secret: str, name: str = NAME, password: str = PASSWORD, step: int = 0) -> Any:
        form = {"name": name, "password": password, "code": code(secret, step)}
        return await self.post("/ops/login", "/ops/login", **form)

    async def as_operator(self) -> None:
        """Log in as a new operator."""
        answer = await self.log_in(await self.set_up(await self.invited()))
        assert answer.status_code == 303, answer.text


def code(secret: str, step: int = 0) -> str:
    """The app's code so many steps from now; a code works once, so set-up and login take two."""
    totp = pyotp.TOTP(secret)
    return totp.generate_otp(totp.timecode(clock.now()) + step)


def console_settings(
    dbs: Mapping[str, ServiceDb], payment: str = f"postgresql://{NOBODY}/payment", **changes: Any
) -> Settings:
    """Of services without a database here, nothing answers; `payment` is where payment's would be."""
    books = {
        service: database.role_dsn(
            dbs[service].admin_dsn, database.OPS, database.OPS, name_in(dbs[service].admin_dsn)
        )
        if service in dbs
        else payment
        for service in database.SERVICES
    }
    workers = {service: dbs[service].worker_dsn if service in dbs else books[service] for service in WORKED}
    given = COMMON | {
        "ops_database_urls": books,
        "worker_database_urls": workers,
        "gateway_database_url": dbs["gateway"].api_dsn,
        "console_url": "http://console.test",
        "gateway_url": f"http://{NOBODY}",
        "console_key": "a-key-of-the-console-of-thirty-two-characters",
    }
    return Settings.model_validate(given | changes)


@asynccontextmanager
async def a_console(dbs: Mapping[str, ServiceDb], **changes: Any) -> AsyncIterator[Console]:
    made = app.console(console_settings(dbs, **changes))
    async with (
        in_own_task(made.lifespan()),
        httpx2.AsyncClient(transport=reach(made), base_url="http://console.test") as client,
    ):
        yield Console(client, made.state["sources"].own)
