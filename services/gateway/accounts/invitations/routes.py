"""The page of an invitation: choose a password for the new login."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from litestar import Request, post
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from services.gateway.accounts.domain import safe_next
from services.gateway.accounts.invitations import actions
from services.gateway.accounts.links.domain import LinkEnded
from services.gateway.accounts.passwords import LONGEST, SHORTEST, InjectedPasswords, fault_of
from services.gateway.accounts.portals import clinic_of
from services.gateway.accounts.sessions import backend as sessions
from services.gateway.accounts.steps import actions as steps
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.dependencies import Db, InjectedSettings
from services.gateway.web.heads import readable

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class InvitationForm:
    password: str = ""
    next: str = ""
    _csrf_token: str = ""


@readable("/invitation/{token:str}")
async def invitation_page(
    token: FromPath[str],
    db: Db,
    upstreams: InjectedUpstreams,
    next: FromQuery[str] = "",
    why: FromQuery[str] = "",
) -> Template:
    """Choose a password. Opening the link uses up nothing and signs in nobody."""
    return await _page(token, safe_next(next), db, upstreams, again=why == "again")


@post("/invitation/{token:str}", status_code=303, request_max_body_size=16 * 1024)
async def accept_invitation(
    request: AnyRequest,
    token: FromPath[str],
    data: URLEncodedBody[InvitationForm],
    db: Db,
    passwords: InjectedPasswords,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
) -> Template | Redirect:
    """Make the login and its membership, and use up the link. Leads to the login."""
    target = safe_next(data.next)
    try:
        found = await actions.find(db, token)
        if not found.has_login and (error := fault_of(data.password)):
            return await _page(token, target, db, upstreams, error=error)
        password = None if found.has_login else data.password
        found = await actions.accept(db, passwords, token, password)
    except LinkEnded:
        return await _ended_page(target, db, upstreams)
    sessions.sign_out(request)
    why = "connected" if found.has_login else "ready"
    async with db.tx(None) as tx:
        cookie = await steps.begin(tx, request, settings.https, "address", found.link.email)
    query = urlencode({"next": f"/c/{found.slug}", "why": why})
    return Redirect(f"/login?{query}", status_code=303, cookies=[cookie])


async def _page(
    token: str, target: str, db: Db, upstreams: Upstreams, *, error: str = "", again: bool = False
) -> Template:
    try:
        found = await actions.find(db, token)
    except LinkEnded:
        return await _ended_page(target, db, upstreams)
    context = {
        "next": f"/c/{found.slug}",
        "clinic": await clinic_of(f"/c/{found.slug}", db, upstreams),
        "email": found.link.email,
        "has_login": found.has_login,
        "error": error,
        "again": again,
        "shortest": SHORTEST,
        "longest": LONGEST,
    }
    return Template("invitation.html", context=context, status_code=400 if error else 200)


async def _ended_page(target: str, db: Db, upstreams: Upstreams) -> Template:
    context = {"next": target, "clinic": await clinic_of(target, db, upstreams)}
    return Template("invitation_ended.html", context=context, status_code=404)


invitation_routes = [invitation_page, accept_invitation]
