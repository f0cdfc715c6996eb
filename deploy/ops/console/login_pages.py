"""Pages to take an invitation, to log in and to log out."""

from dataclasses import dataclass
from typing import Any

from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from deploy.ops.console.operators import actions
from deploy.ops.console.operators.domain import Operator
from deploy.ops.console.sessions import AnyRequest, cookie_of, id_of
from deploy.ops.console.settings import Settings
from deploy.ops.console.sources import Sources
from services.gateway.accounts.domain import safe_next
from services.gateway.accounts.passwords import LONGEST, InjectedPasswords
from services.gateway.accounts.rate_limits.domain import TooManyTries, words_of
from services.gateway.accounts.sealing import InjectedSealer
from services.gateway.accounts.second_factors.domain import setup_of
from services.gateway.web.heads import readable
from services.gateway.web.limits import address_of

Console = NamedDependency[Sources]
ConsoleSettings = NamedDependency[Settings]
ISSUER = "ClinicPay console"
_WHY = {
    "ready": "You are set up. Log in with your password and the next code of your app.",
    "out": "You are logged out.",
    "ended": "Your session had ended, so nothing was done. Log in, then do it again.",
}
"""The words for what led to the login."""


@dataclass(frozen=True, slots=True)
class LoginForm:
    name: str = ""
    password: str = ""
    code: str = ""
    next: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class InvitationForm:
    """`sealed` is the app's secret as the page was given it."""

    password: str = ""
    code: str = ""
    sealed: str = ""
    _csrf_token: str = ""


@readable("/")
async def start() -> Redirect:
    return Redirect("/ops", status_code=303)


@readable("/ops/login")
async def login_page(next: FromQuery[str] = "", why: FromQuery[str] = "") -> Template:
    return _login_page(next, note=_WHY.get(why, ""))


@post("/ops/login", status_code=303, request_max_body_size=16 * 1024)
async def log_in(
    request: AnyRequest,
    data: URLEncodedBody[LoginForm],
    sources: Console,
    settings: ConsoleSettings,
    passwords: InjectedPasswords,
    sealer: InjectedSealer,
) -> Template | Redirect:
    """Begin a session. 401 for anything that is wrong alike, 429 after too many tries."""
    address = address_of(request.scope)
    try:
        session_id = await actions.log_in(
            sources.own, passwords, sealer, address, data.name, data.password, data.code
        )
    except actions.WrongLogin as error:
        return _login_page(data.next, name=data.name, error=error.detail, status=401)
    except TooManyTries as error:
        answer = _login_page(data.next, name=data.name, error=words_of(error), status=429)
        answer.headers["Retry-After"] = str(error.retry_after)
        return answer
    target = safe_next(data.next)
    cookies = [cookie_of(session_id, settings.https)]
    return Redirect(target if target.startswith("/ops") else "/ops", status_code=303, cookies=cookies)


@post("/logout", status_code=303)
async def log_out(request: AnyRequest, sources: Console, settings: ConsoleSettings) -> Redirect:
    session_id = id_of(request, settings.https)
    assert session_id is not None, "the guard has seen it"
    await actions.log_out(sources.own, session_id)
    return Redirect("/ops/login?why=out", status_code=303, cookies=[cookie_of("", settings.https)])


@readable("/ops/welcome/{token:str}")
async def invitation(token: FromPath[str], sources: Console, sealer: InjectedSealer) -> Template:
    """The form of an invitation, with a new secret for the app each time. Nothing is stored by it."""
    try:
        operator = await actions.invited(sources.own, token)
    except actions.InvitationEnded:
        return Template("ops_invitation_ended.html", status_code=404)
    secret, sealed = actions.new_setup(sealer, operator)
    return _invitation_page(operator, secret, sealed)


@post("/ops/welcome/{token:str}", status_code=303, request_max_body_size=16 * 1024)
async def take_invitation(
    request: AnyRequest,
    token: FromPath[str],
    data: URLEncodedBody[InvitationForm],
    sources: Console,
    passwords: InjectedPasswords,
    sealer: InjectedSealer,
) -> Template | Redirect:
    try:
        await actions.take(
            sources.own,
            passwords,
            sealer,
            token,
            data.sealed,
            data.password,
            data.code,
            address_of(request.scope),
        )
    except actions.InvitationEnded:
        return Template("ops_invitation_ended.html", status_code=404)
    except actions.NotAccepted as error:
        operator = await actions.invited(sources.own, token)
        secret, sealed = actions.opened(sealer, operator, data.sealed), data.sealed
        if secret is None:
            secret, sealed = actions.new_setup(sealer, operator)
        return _invitation_page(operator, secret, sealed, error=error.detail, field=error.fields["field"])
    return Redirect("/ops/login?why=ready", status_code=303)


def _login_page(next: str, *, name: str = "", error: str = "", note: str = "", status: int = 200) -> Template:
    context = {"next": safe_next(next), "name": name, "error": error, "note": note}
    return Template("ops_login.html", context=context, status_code=status)


def _invitation_page(
    operator: Operator, secret: str, sealed: str, *, error: str = "", field: str = ""
) -> Template:
    context = {
        "invited": operator,
        "setup": setup_of(secret, operator.name, ISSUER),
        "sealed": sealed,
        "error": error,
        "field": field,
        "shortest": actions.SHORTEST,
        "longest": LONGEST,
    }
    return Template("ops_invitation.html", context=context, status_code=422 if error else 200)


OPEN: list[Any] = [start, login_page, log_in, invitation, take_invitation]
BEHIND: list[Any] = [log_out]
