"""API keys of operators and clinics: which there are, when each was used, and an end to one that got lost."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import post
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from deploy.ops.console.login_pages import Console
from deploy.ops.console.operators.actions import acting
from deploy.ops.console.operators.domain import Operator
from deploy.ops.console.page import page
from deploy.ops.console.sessions import CurrentOperator
from deploy.ops.console.sources import Sources
from services.chassis import audit
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.gateway.api.keys import actions as api_keys
from services.gateway.api.keys import store as key_store
from services.gateway.web.heads import readable

MOST = 500


@dataclass(frozen=True, slots=True)
class RevokeForm:
    reason: str = ""
    _csrf_token: str = ""


@readable("/keys")
async def list_keys(operator: CurrentOperator, sources: Console, done: FromQuery[bool] = False) -> Template:
    return await _page(operator, sources, done=done)


@post("/keys/{key_id:uuid}/revoke", status_code=303)
async def revoke_key(
    key_id: FromPath[UUID], data: URLEncodedBody[RevokeForm], operator: CurrentOperator, sources: Console
) -> Template | Redirect:
    """End a key at once. The last operator's key that does not expire stays."""
    async with sources.own.statements() as connection:
        found = await key_store.get_working_key(connection, key_id)
    if found is None:
        return await _page(operator, sources, error="This key does not work any more.")
    clinic_id = found.clinic_id or audit.INSTALLATION
    try:
        async with (
            acting(sources.own, operator, "revoke_api_key", "gateway", key_id, data.reason),
            sources.keys.tx(clinic_id, operator=True) as tx,
        ):
            await api_keys.revoke(tx, Caller(operator.id, "operator", clinic_id), key_id)
    except DomainError as refusal:
        return await _page(operator, sources, error=refusal.detail)
    return Redirect("/ops/keys?done=true", status_code=303)


async def _page(operator: Operator, sources: Sources, *, done: bool = False, error: str = "") -> Template:
    async with sources.own.statements() as connection:
        rows = await key_store.list_working_keys(connection, MOST)
        slugs = {
            row["clinic_id"]: row["slug"]
            for row in await connection.fetch("SELECT clinic_id, slug FROM portals")
        }
    return page(
        "ops_keys.html",
        "keys",
        operator,
        status=422 if error else 200,
        rows=rows,
        slugs=slugs,
        done=done,
        error=error,
    )


PAGES: list[Any] = [list_keys, revoke_key]
