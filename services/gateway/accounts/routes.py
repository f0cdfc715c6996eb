"""Routes to sign in, to sign out and to choose a clinic."""

import asyncio
from dataclasses import dataclass
from typing import Any

from litestar import Request, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from services.chassis.http.auth import Caller
from services.gateway.accounts import actions
from services.gateway.accounts.dependencies import CHOSEN, CurrentLogin, caller_of
from services.gateway.accounts.domain import Membership, SignedIn, safe_next
from services.gateway.accounts.passwords import InjectedPasswords
from services.gateway.accounts.rate_limits.domain import TooManyTries
from services.gateway.accounts.sessions import backend as sessions
from services.gateway.settings import Settings
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.dependencies import Db, InjectedSettings
from services.gateway.web.limits import address_of

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class LoginForm:
    email: str = ""
    password: str = ""
    next: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class ClinicChoice:
    """A membership to choose. `person` is the client's name, if the login has several memberships at the clinic."""

    slug: str
    name: str
    place: str
    person: str = ""


@dataclass(frozen=True, slots=True)
class ChoiceForm:
    slug: str = ""
    place: str = ""
    _csrf_token: str = ""


@get("/")
async def start(request: AnyRequest) -> Redirect:
    """Redirect to the list of clinics, which redirects to the login if needed."""
    return Redirect("/clinics" if request.session else "/login", status_code=303)


@get("/login")
async def login_page(
    request: AnyRequest, settings: InjectedSettings, next: FromQuery[str] = ""
) -> Template | Redirect:
    """The login page; a redirect to `next` for a login with a session."""
    target = safe_next(next)
    if request.session:
        return Redirect(target if target != "/" else "/clinics", status_code=303)
    return _login_page(settings, target)


@post("/login", status_code=303, request_max_body_size=16 * 1024)
async def log_in(
    request: AnyRequest,
    data: URLEncodedBody[LoginForm],
    db: Db,
    passwords: InjectedPasswords,
    settings: InjectedSettings,
) -> Template | Redirect:
    """Begin a session; 401 for a wrong password or an unknown e-mail alike, 429 after too many tries."""
    target = safe_next(data.next)
    try:
        login_id = await actions.check_login(
            db, passwords, data.email, data.password, address_of(request.scope)
        )
    except actions.WrongPassword as error:
        return _login_page(settings, target, status=401, email=data.email, error=error.detail)
    except TooManyTries as error:
        wait = f"Too many tries. Please wait {_minutes(error.retry_after)}, then try again."
        headers = {"Retry-After": str(error.retry_after)}
        return _login_page(settings, target, status=429, email=data.email, error=wait, headers=headers)
    await actions.note_sign_in(db, login_id)
    sessions.sign_in(request, login_id)
    return Redirect(target if target != "/" else "/clinics", status_code=303)


@post("/logout", status_code=303)
async def log_out(request: AnyRequest) -> Redirect:
    """End the session."""
    sessions.sign_out(request)
    return Redirect("/login", status_code=303)


@get("/clinics")
async def choose_clinic(signed_in: CurrentLogin, upstreams: InjectedUpstreams) -> Template | Redirect:
    """The login's memberships, by clinic and client; a redirect to the only one."""
    if len(signed_in.memberships) == 1:
        return Redirect(f"/c/{signed_in.memberships[0].slug}", status_code=303)
    choices = await asyncio.gather(*(_choice(each, signed_in, upstreams) for each in signed_in.memberships))
    return Template("clinics.html", context={"clinics": choices})


@post("/clinics", status_code=303)
async def choose_place(
    request: AnyRequest, data: URLEncodedBody[ChoiceForm], signed_in: CurrentLogin
) -> Redirect:
    """Open a clinic as one of the login's clients there, and keep the choice in the session."""
    if not any((each.slug, each.name) == (data.slug, data.place) for each in signed_in.memberships):
        raise NotFoundException
    request.set_session(
        {**request.session, CHOSEN: {**request.session.get(CHOSEN, {}), data.slug: data.place}}
    )
    return Redirect(f"/c/{data.slug}", status_code=303)


async def _choice(member: Membership, signed_in: SignedIn, upstreams: Upstreams) -> ClinicChoice:
    """The clinic's name, and the client's if there are several; the slug while invoice is unreachable."""
    caller = caller_of(member, signed_in.login_id)
    several = sum(each.clinic_id == member.clinic_id for each in signed_in.memberships) > 1
    try:
        clinic = await upstreams.clinic(caller)
        person = await _person(member, caller, upstreams) if several else ""
    except UpstreamError:
        return ClinicChoice(member.slug, member.slug.replace("-", " ").title(), member.name)
    return ClinicChoice(member.slug, clinic.name, member.name, person)


async def _person(member: Membership, caller: Caller, upstreams: Upstreams) -> str:
    """The client's name, or "Staff"."""
    if member.client_id is None:
        return "Staff"
    return (await upstreams.client(caller, member.client_id)).name


def _login_page(
    settings: Settings,
    target: str,
    *,
    status: int = 200,
    email: str = "",
    error: str = "",
    headers: dict[str, str] | None = None,
) -> Template:
    context = {"next": target, "email": email[:254], "error": error, "demo": settings.demo}
    return Template("login.html", context=context, status_code=status, headers=headers or {})


def _minutes(seconds: int) -> str:
    minutes = max(1, -(-seconds // 60))
    return "a minute" if minutes == 1 else f"{minutes} minutes"


account_routes = [start, login_page, log_in, log_out, choose_clinic, choose_place]
