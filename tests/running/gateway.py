"""A gateway in this process, before the real services in this process, each on a database of its own."""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from litestar import Litestar

from services.chassis.db.database import Database
from services.chassis.ids import new_id
from services.gateway import app, jobs
from services.gateway.accounts import actions, store
from services.gateway.accounts.domain import Membership, Role
from services.gateway.accounts.passwords import Passwords, normal_email
from services.gateway.api.keys.actions import keep_settings_keys
from services.gateway.upstream.calls import Service
from services.invoice import app as invoice_app
from services.notification import app as notification_app
from services.payment import app as payment_app
from tests.builders.callers import a_caller
from tests.builders.clinics import clinic_body
from tests.running import settings
from tests.running.apps import in_own_task
from tests.running.databases import ServiceDb
from tests.running.settings import OPERATOR_KEY

ROOT = Path(__file__).resolve().parents[2]
CLINIC = clinic_body(slug="oak", name="Oak Street Physiotherapy")

PASSWORD = "correct horse battery"

SETTINGS = {**CLINIC, "billing_shown": True, "online_payment": True, "methods": ["card", "redirect"]}
"""The same, whole, as PUT takes it."""
ACCOUNT = "acct_1OakStreet"
CLIENT = {"name": "Ann Byrne", "email": "ann@example.com", "login": {"password": PASSWORD}}

_hashes: dict[str, str] = {}

Transports = Mapping[Service, httpx2.AsyncBaseTransport]


@dataclass
class Site:
    """The gateway as browsers and programs reach it."""

    app: Litestar
    client: httpx2.AsyncClient
    db: Database
    passwords: Passwords

    async def get(self, path: str, **more: Any) -> Any:
        return await self.client.get(path, follow_redirects=False, **more)

    async def csrf(self) -> str:
        """The token that a page's forms carry; the client keeps its cookie."""
        page = await self.get("/login", headers={"Accept": "text/html"})
        found = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
        assert found is not None, page.text
        return found[1]

    async def post_form(self, path: str, data: dict[str, str], **more: Any) -> Any:
        """A form of one of our own pages."""
        data = {"_csrf_token": await self.csrf(), **data}
        return await self.client.post(path, data=data, follow_redirects=False, **more)

    async def log_in(self, email: str, password: str = PASSWORD, next: str = "") -> Any:
        return await self.post_form("/login", {"email": email, "password": password, "next": next})

    async def api(self, method: str, path: str, key: str | None = OPERATOR_KEY, **more: Any) -> Any:
        """A program's call; a POST gets an idempotency key unless it brings one."""
        headers = {"Idempotency-Key": str(new_id())} if method == "POST" else {}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        headers |= more.pop("headers", {})
        answer = await self.client.request(method, f"/api/v1{path}", headers=headers, **more)
        check_documented(method, answer)
        return answer

    def cookie(self, name: str) -> str | None:
        return self.client.cookies.get(name)


def check_documented(method: str, answer: Any) -> None:
    """Every refusal of an operation is a problem whose code the public OpenAPI document names at it.

    Codes that end with `_by_test` are made up by tests that break the way to a service.
    """
    if answer.status_code < 400:
        return
    found = _documented(method, answer.request.url.path)
    if found is not None:
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        code, named = answer.json()["code"], found.get(str(answer.status_code), [])
        assert code in named or code.endswith("_by_test"), (
            f"{method} {answer.request.url.path}: {answer.status_code} {code} is not named"
        )


@cache
def _refusals() -> list[tuple[str, re.Pattern[str], dict[str, list[str]]]]:
    """The codes by status of each operation, and the pattern of its addresses."""
    document = json.loads((ROOT / "contracts" / "openapi" / "gateway.json").read_text())
    return [
        (
            method.upper(),
            re.compile(re.sub(r"\{\w+\}", "[0-9a-fA-F-]{32,36}", path)),
            {status: each.get("x-codes", []) for status, each in operation["responses"].items()}
            | {"429": ["too_many_requests"]},
        )
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _documented(method: str, path: str) -> dict[str, list[str]] | None:
    """The codes of the operation at this address; None when there is none."""
    return next((codes for verb, at, codes in _refusals() if verb == method and at.fullmatch(path)), None)


def reach(asgi: Any) -> httpx2.ASGITransport:
    """The way to an app in this event loop."""
    return httpx2.ASGITransport(asgi, raise_app_exceptions=False)


def without_jobs(patch: pytest.MonkeyPatch) -> None:
    """For tests that sweep, or compare rows: sites made from here on sweep nothing by themselves."""
    patch.setattr(jobs, "OPERATIONS_SECONDS", 1e6)
    patch.setattr(jobs, "LETTERS_SECONDS", 1e6)


@asynccontextmanager
async def a_site(db: ServiceDb, transports: Transports | None = None, **changed: Any) -> AsyncIterator[Site]:
    given = settings.gateway_settings(db.api_dsn, **changed)
    made = app.api(given, transports)
    base_url = str(given.public_url).rstrip("/")
    async with (
        in_own_task(made.lifespan()),
        httpx2.AsyncClient(transport=reach(made), base_url=base_url) as client,
    ):
        await keep_settings_keys(db.api, given.operator_keys, given.demo)
        yield Site(made, client, db.api, made.state.passwords)


async def a_portal(db: Database, slug: str = "oak") -> UUID:
    """A clinic's address in the gateway, without the clinic."""
    clinic_id = new_id()
    async with db.tx(clinic_id, operator=True) as tx:
        await actions.put_portal(tx, a_caller("operator", clinic_id), slug)
    return clinic_id


async def _hash(password: str) -> str:
    """Hashing takes some 30 ms: each password is hashed once a run."""
    if password not in _hashes:
        _hashes[password] = await Passwords().hash(password)
    return _hashes[password]


async def a_login(
    db: Database,
    clinic_id: UUID,
    email: str = "ann@example.com",
    *,
    client_id: UUID | None = None,
    role: Role = "client",
    password: str = PASSWORD,
    by_operator: bool = True,
    accepts: bool = True,
) -> UUID | None:
    """A login with a place at the clinic, which its owner accepts; answers the client's id."""
    if role == "client":
        client_id = client_id or new_id()
    hashed = await _hash(password)
    async with db.tx(clinic_id, operator=by_operator) as tx:
        caller = a_caller("operator" if by_operator else "staff", clinic_id)
        await actions.put_login(
            tx, email=email, password_hash=hashed, caller=caller, client_id=client_id, role=role
        )
        if accepts:
            login = await store.get_login(tx, normal_email(email))
            assert login is not None
            place = Membership(clinic_id, client_id, "", role)
            await actions.answer_invitation(tx, login.id, place, accepted=True)
    return client_id


@asynccontextmanager
async def a_whole_site(
    gateway: ServiceDb,
    invoice_db: ServiceDb,
    payment_db: ServiceDb,
    notification_db: ServiceDb,
    *,
    through: Callable[[Service, httpx2.AsyncBaseTransport], httpx2.AsyncBaseTransport] | None = None,
    payment_settings: Mapping[str, Any] | None = None,
    **changed: Any,
) -> AsyncIterator[Site]:
    """The gateway before all three services, in live mode when its publishable key is a live one.

    `through` wraps the way to a service, for tests that break it. `payment_settings` say where Stripe is, if it is to
    answer.
    """
    live = str(changed.get("stripe_publishable_key", "")).startswith("pk_live_")
    changes = {"stripe_secret_key": "sk_live_1"} if live else {}
    at_stripe = changes | dict(payment_settings or {})
    invoice = invoice_app.api(settings.invoice_settings(invoice_db.api_dsn))
    payment = payment_app.api(settings.payment_settings(payment_db.api_dsn, **at_stripe))
    notification = notification_app.api(settings.notification_settings(notification_db.api_dsn))
    transports: dict[Service, httpx2.AsyncBaseTransport] = {
        "invoice": reach(invoice),
        "payment": reach(payment),
        "notification": reach(notification),
    }
    if through is not None:
        transports = {service: through(service, way) for service, way in transports.items()}
    async with (
        in_own_task(invoice.lifespan()),
        in_own_task(payment.lifespan()),
        in_own_task(notification.lifespan()),
        a_site(gateway, transports, payment_url="http://payment.test", **changed) as site,
    ):
        yield site


async def create_clinic(site: Site, **changed: Any) -> Any:
    answer = await site.api("POST", "/clinics", json={**CLINIC, **changed})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def put_account(site: Site, clinic: Any, account: str | None = ACCOUNT) -> Any:
    return await site.api(
        "PUT", f"/clinics/{clinic['id']}/stripe-account", json={"stripe_account_id": account}
    )


async def create_client(site: Site, clinic: Any, **changed: Any) -> Any:
    answer = await site.api("POST", f"/clinics/{clinic['id']}/clients", json={**CLIENT, **changed})
    assert answer.status_code == 201, answer.text
    return answer.json()
