"""The page of a link that confirms a login's new e-mail address."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from litestar import Request, post
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from services.gateway.accounts.domain import safe_next
from services.gateway.accounts.links.domain import LinkEnded
from services.gateway.accounts.portals import clinic_of
from services.gateway.accounts.profile import actions
from services.gateway.accounts.steps import actions as steps
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.dependencies import Db, InjectedSettings
from services.gateway.web.heads import readable


@dataclass(frozen=True, slots=True)
class ConfirmForm:
    next: str = ""
    _csrf_token: str = ""


@readable("/email/{token:str}")
async def new_email_page(
    token: FromPath[str],
    db: Db,
    upstreams: InjectedUpstreams,
    next: FromQuery[str] = "",
    why: FromQuery[str] = "",
) -> Template:
    """Confirm the new address. Opening the link uses up nothing and signs in nobody."""
    target = safe_next(next)
    try:
        link = await actions.find_email(db, token)
    except LinkEnded:
        return await _ended_page(target, db, upstreams)
    clinic = await clinic_of(target, db, upstreams)
    context = {"next": target, "clinic": clinic, "email": link.email, "again": why == "again"}
    return Template("new_email.html", context=context)


@post("/email/{token:str}", status_code=303, request_max_body_size=16 * 1024)
async def confirm_email(
    request: Request[Any, Any, Any],
    token: FromPath[str],
    data: URLEncodedBody[ConfirmForm],
    db: Db,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
) -> Template | Redirect:
    """Make the address the login's, and use up the link. Leads to the login, or on for who is logged in."""
    target = safe_next(data.next)
    try:
        email = await actions.confirm_email(db, token)
    except LinkEnded:
        return await _ended_page(target, db, upstreams)
    given = {"next": target} if target != "/" else {}
    async with db.tx(None) as tx:
        cookie = await steps.begin(tx, request, settings.https, "address", email)
    return Redirect(f"/login?{urlencode({**given, 'why': 'email'})}", status_code=303, cookies=[cookie])


async def _ended_page(target: str, db: Db, upstreams: Upstreams) -> Template:
    context = {"next": target, "clinic": await clinic_of(target, db, upstreams)}
    return Template("new_email_ended.html", context=context, status_code=404)


email_routes = [new_email_page, confirm_email]
