"""The way on from a first factor that was right: to the second one, where the login has one, or into the session."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request
from litestar.response import Redirect

from services.chassis.db.database import Database
from services.gateway.accounts import actions
from services.gateway.accounts.devices.actions import Devices, remember
from services.gateway.accounts.second_factors import actions as second_factors
from services.gateway.accounts.sessions import backend as sessions
from services.gateway.accounts.steps import actions as steps
from services.gateway.settings import Settings

AnyRequest = Request[Any, Any, Any]


async def go_on(
    request: AnyRequest,
    db: Database,
    settings: Settings,
    devices: Devices,
    login_id: UUID,
    email: str,
    target: str,
) -> Redirect:
    """Ask for the second factor, bound to this browser, and begin no session before; else begin it."""
    if await second_factors.get(db, login_id) is None:
        return await enter(request, db, settings, devices, login_id, target)
    async with db.tx(None) as tx:
        cookie = await steps.begin(tx, request, settings.https, "second", email, login_id)
    return Redirect(f"/login/second{query_of(target)}", status_code=303, cookies=[cookie])


async def enter(
    request: AnyRequest, db: Database, settings: Settings, devices: Devices, login_id: UUID, target: str
) -> Redirect:
    """Begin the session; the browser's step ends, and the login knows the browser from now on."""
    await actions.note(db, login_id, "sign_in")
    async with db.tx(None) as tx:
        cookies = await steps.end(tx, request, settings.https)
    cookies.append(await remember(db, devices, request, login_id))
    sessions.sign_in(request, login_id)
    return Redirect(target if target != "/" else "/clinics", status_code=303, cookies=cookies)


def query_of(target: str, **more: str) -> str:
    """The query that leads on to the page that was asked for."""
    given = {"next": target, **more}
    query = urlencode({name: value for name, value in given.items() if value and value != "/"})
    return f"?{query}" if query else ""
