"""The pages of a login by a code that is e-mailed: ask for it, and type it or press the button of its link."""

from dataclasses import dataclass
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from services.chassis.http.problems import CHALLENGES
from services.gateway.accounts import entry
from services.gateway.accounts.devices.actions import InjectedDevices
from services.gateway.accounts.domain import safe_next
from services.gateway.accounts.links.domain import LinkEnded
from services.gateway.accounts.mailed_codes import actions
from services.gateway.accounts.mailed_codes.actions import WrongMailedCode
from services.gateway.accounts.portals import clinic_of
from services.gateway.accounts.rate_limits.domain import TooManyTries, words_of
from services.gateway.accounts.requests.domain import EmailForm, fault_of
from services.gateway.accounts.sealing import InjectedMailedCodes
from services.gateway.accounts.steps import actions as steps
from services.gateway.accounts.steps.domain import Step
from services.gateway.settings import Settings
from services.gateway.upstream.services import InjectedUpstreams
from services.gateway.web.dependencies import Db, InjectedSettings
from services.gateway.web.heads import readable
from services.gateway.web.limits import address_of

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class CodeForm:
    code: str = ""
    next: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class PressForm:
    next: str = ""
    _csrf_token: str = ""


@get("/login/code")
async def ask_page(
    request: AnyRequest,
    db: Db,
    upstreams: InjectedUpstreams,
    next: FromQuery[str] = "",
    why: FromQuery[str] = "",
) -> Template | Redirect:
    """Ask for the address of the login. `why`: what led here."""
    target = safe_next(next)
    if request.session:
        return Redirect(f"/login{entry.query_of(target)}", status_code=303)
    return await _page("login_code.html", target, db, upstreams, why=why)


@post("/login/code", status_code=303, request_max_body_size=16 * 1024)
async def ask_for_code(
    request: AnyRequest,
    data: URLEncodedBody[EmailForm],
    db: Db,
    devices: InjectedDevices,
    upstreams: InjectedUpstreams,
) -> Template | Redirect:
    """Send a code to the address if it has a login. The answer is the same if it has none."""
    target = safe_next(data.next)
    status, error, headers = 400, fault_of(data.email), dict[str, str]()
    if not error:
        try:
            cookie = await actions.ask(db, devices, request, data.email, target)
            return Redirect(f"/login/code/sent{entry.query_of(target)}", status_code=303, cookies=[cookie])
        except TooManyTries as refusal:
            status, error = 429, words_of(refusal)
            headers = {"Retry-After": str(refusal.retry_after)}
    return await _page(
        "login_code.html",
        target,
        db,
        upstreams,
        status=status,
        headers=headers,
        email=data.email[:254],
        error=error,
    )


@get("/login/code/sent")
async def code_page(
    request: AnyRequest,
    db: Db,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
    next: FromQuery[str] = "",
    why: FromQuery[str] = "",
) -> Template | Redirect:
    """Say what happens now, and take the code. A browser that has not asked for one is led to the page before."""
    target = safe_next(next)
    step = await _step(request, db, settings)
    if request.session or step is None:
        return _ask_again(target)
    return await _page("login_code_sent.html", target, db, upstreams, why=why, email=step.email)


@post("/login/code/sent", status_code=303, request_max_body_size=16 * 1024)
async def check_code(
    request: AnyRequest,
    data: URLEncodedBody[CodeForm],
    db: Db,
    mailed_codes: InjectedMailedCodes,
    devices: InjectedDevices,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
) -> Template | Redirect:
    """Begin a session, or ask for the second factor.

    401 for a code that is wrong or has ended, 429 after too many tries.
    """
    target = safe_next(data.next)
    step = await _step(request, db, settings)
    if step is None:
        return _ask_again(target)
    try:
        login = await actions.use_code(db, mailed_codes, step, data.code, address_of(request.scope))
    except WrongMailedCode as wrong:
        status, words, headers = wrong.status, wrong.detail, CHALLENGES.get(wrong.status, {})
    except TooManyTries as refusal:
        status, words = 429, "Too many tries. Ask for a new code, and type that."
        headers = {"Retry-After": str(refusal.retry_after)}
    else:
        return await entry.go_on(request, db, settings, devices, login.id, login.email, target)
    return await _page(
        "login_code_sent.html",
        target,
        db,
        upstreams,
        status=status,
        headers=headers,
        email=step.email,
        error=words,
    )


@readable("/login/link/{token:str}")
async def link_page(
    request: AnyRequest,
    token: FromPath[str],
    db: Db,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
    next: FromQuery[str] = "",
    why: FromQuery[str] = "",
) -> Template:
    """Ask for a press. Opening the link uses up nothing and signs in nobody; in another browser it opens nothing."""
    target = safe_next(next)
    step = await _step(request, db, settings)
    try:
        if step is None:
            raise LinkEnded
        link = await actions.find(db, step, token)
    except LinkEnded:
        return await _ended_page(target, db, upstreams)
    return await _page("login_link.html", target, db, upstreams, why=why, email=link.email)


@post("/login/link/{token:str}", status_code=303, request_max_body_size=16 * 1024)
async def press_link(
    request: AnyRequest,
    token: FromPath[str],
    data: URLEncodedBody[PressForm],
    db: Db,
    devices: InjectedDevices,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
) -> Template | Redirect:
    """Use up the link in the browser that asked. Begins a session, or asks for the second factor."""
    target = safe_next(data.next)
    step = await _step(request, db, settings)
    try:
        if step is None:
            raise LinkEnded
        login = await actions.use_link(db, step, token)
    except LinkEnded:
        return await _ended_page(target, db, upstreams)
    return await entry.go_on(request, db, settings, devices, login.id, login.email, target)


async def _step(request: AnyRequest, db: Db, settings: Settings) -> Step | None:
    """The step of a browser that has asked for a code."""
    async with db.tx(None) as tx:
        step = await steps.current(tx, request, settings.https)
    return step if step and step.kind == "code" else None


def _ask_again(target: str) -> Redirect:
    return Redirect(f"/login/code{entry.query_of(target, why='late')}", status_code=303)


async def _ended_page(target: str, db: Db, upstreams: InjectedUpstreams) -> Template:
    return await _page("login_link_ended.html", target, db, upstreams, status=404)


async def _page(
    name: str,
    target: str,
    db: Db,
    upstreams: InjectedUpstreams,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    why: str = "",
    email: str = "",
    error: str = "",
) -> Template:
    context = {
        "next": target,
        "clinic": await clinic_of(target, db, upstreams),
        "why": why,
        "email": email,
        "error": error,
    }
    return Template(name, context=context, status_code=status, headers=headers or {})


mailed_code_routes = [ask_page, ask_for_code, code_page, check_code, link_page, press_link]
