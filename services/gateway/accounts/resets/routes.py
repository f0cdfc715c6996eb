"""The pages of who forgot the password: ask for a link, and choose a new password with it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from litestar import Request, get, post
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from services.gateway.accounts.actions import LoginShared, refuse_shared
from services.gateway.accounts.domain import safe_next
from services.gateway.accounts.links.domain import LinkEnded
from services.gateway.accounts.passkeys.actions import list_passkeys
from services.gateway.accounts.passwords import LONGEST, SHORTEST, InjectedPasswords
from services.gateway.accounts.passwords import fault_of as fault_of_password
from services.gateway.accounts.portals import clinic_of
from services.gateway.accounts.rate_limits.domain import TooManyTries, words_of
from services.gateway.accounts.requests.domain import EmailForm, fault_of
from services.gateway.accounts.resets import actions
from services.gateway.accounts.sessions import backend as sessions
from services.gateway.accounts.steps import actions as steps
from services.gateway.upstream.services import InjectedUpstreams
from services.gateway.web.dependencies import Db, InjectedSettings
from services.gateway.web.heads import readable
from services.gateway.web.limits import address_of

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class PasswordForm:
    password: str = ""
    next: str = ""
    _csrf_token: str = ""


@get("/password")
async def forgotten_page(
    db: Db,
    upstreams: InjectedUpstreams,
    next: FromQuery[str] = "",
    sent: FromQuery[str] = "",
    why: FromQuery[str] = "",
) -> Template:
    """Ask for the address of the login; with `sent`, what happens now."""
    target = safe_next(next)
    context = {"next": target, "clinic": await clinic_of(target, db, upstreams), "again": why == "again"}
    if sent:
        return Template("forgotten_sent.html", context=context)
    return Template("forgotten.html", context={**context, "email": "", "error": ""})


@post("/password", status_code=303, request_max_body_size=16 * 1024)
async def ask_for_link(
    request: AnyRequest, data: URLEncodedBody[EmailForm], db: Db, upstreams: InjectedUpstreams
) -> Template | Redirect:
    """Send a link to the address if it has a login. The answer is the same if it has none."""
    target = safe_next(data.next)
    status, error, headers = 400, fault_of(data.email), {}
    if not error:
        try:
            await actions.ask(db, data.email, target, address_of(request.scope))
        except TooManyTries as refusal:
            status, error = 429, words_of(refusal)
            headers = {"Retry-After": str(refusal.retry_after)}
    if not error:
        return Redirect(f"/password?{urlencode({'sent': 'yes', **_leading(target)})}", status_code=303)
    context = {
        "next": target,
        "clinic": await clinic_of(target, db, upstreams),
        "again": False,
        "email": data.email[:254],
        "error": error,
    }
    return Template("forgotten.html", context=context, status_code=status, headers=headers)


@readable("/password/{token:str}")
async def new_password_page(
    token: FromPath[str],
    db: Db,
    upstreams: InjectedUpstreams,
    next: FromQuery[str] = "",
    why: FromQuery[str] = "",
) -> Template:
    """Choose a new password. Opening the link uses up nothing and signs in nobody."""
    return await _new_password_page(token, safe_next(next), db, upstreams, again=why == "again")


@post("/password/{token:str}", status_code=303, request_max_body_size=16 * 1024)
async def choose_password(
    request: AnyRequest,
    token: FromPath[str],
    data: URLEncodedBody[PasswordForm],
    db: Db,
    passwords: InjectedPasswords,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
) -> Template | Redirect:
    """Set the password and use up the link. Leads to the login; a session that the browser had ends.

    The demo's logins keep their password, for other visitors.
    """
    target = safe_next(data.next)
    if error := fault_of_password(data.password):
        return await _new_password_page(token, target, db, upstreams, error=error)
    try:
        login = await actions.find(db, token)
        refuse_shared(settings, login.email)
        await actions.choose_password(db, passwords, token, data.password)
    except LinkEnded:
        return await _ended_page(target, db, upstreams)
    except LoginShared as shared:
        return await _new_password_page(token, target, db, upstreams, error=shared.detail, status=409)
    sessions.sign_out(request)
    async with db.tx(None) as tx:
        cookie = await steps.begin(tx, request, settings.https, "address", login.email)
    query = urlencode({**_leading(target), "why": "chosen"})
    return Redirect(f"/login?{query}", status_code=303, cookies=[cookie])


async def _new_password_page(
    token: str,
    target: str,
    db: Db,
    upstreams: InjectedUpstreams,
    *,
    error: str = "",
    again: bool = False,
    status: int = 400,
) -> Template:
    try:
        login = await actions.find(db, token)
    except LinkEnded:
        return await _ended_page(target, db, upstreams)
    context = {
        "next": target,
        "clinic": await clinic_of(target, db, upstreams),
        "email": login.email,
        "error": error,
        "again": again,
        "passkeys": await list_passkeys(db, login.id),
        "shortest": SHORTEST,
        "longest": LONGEST,
    }
    return Template("new_password.html", context=context, status_code=status if error else 200)


async def _ended_page(target: str, db: Db, upstreams: InjectedUpstreams) -> Template:
    context = {"next": target, "clinic": await clinic_of(target, db, upstreams)}
    return Template("link_ended.html", context=context, status_code=404)


def _leading(target: str) -> dict[str, str]:
    return {"next": target} if target != "/" else {}


reset_routes = [forgotten_page, ask_for_link, new_password_page, choose_password]
