"""The profile page: who is logged in, with which address, where; and the changes of it."""

from dataclasses import dataclass
from typing import Any

from litestar import Request, get, post
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from services.chassis.db.database import Database
from services.chassis.emails import EmailNotValid
from services.gateway.accounts.actions import LoginShared, WrongPassword, refuse_shared
from services.gateway.accounts.dependencies import CurrentLogin, CurrentSession
from services.gateway.accounts.domain import LoginSession, SignedIn
from services.gateway.accounts.passwords import LONGEST, SHORTEST, InjectedPasswords, fault_of
from services.gateway.accounts.profile import actions
from services.gateway.accounts.rate_limits.domain import TooManyTries, words_of
from services.gateway.accounts.sessions import backend as sessions
from services.gateway.accounts.sessions import store
from services.gateway.portal.page import CurrentPage, PortalPage
from services.gateway.portal.profile import views
from services.gateway.settings import Settings
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.dependencies import Db, InjectedSettings
from services.gateway.web.limits import address_of

AnyRequest = Request[Any, Any, Any]

_DONE = {
    "password": "Your password is changed. You are logged out everywhere else.",
    "email": "We are sending a link to the new address. Open it within a day: until then you log in with the old one.",
}
_WRONG = "The present password is not right."


@dataclass(frozen=True, slots=True)
class PasswordForm:
    present: str = ""
    password: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class EmailForm:
    present: str = ""
    email: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of a form (`password` or `email`), and the address that was typed."""

    form: str
    words: str
    status: int = 400
    typed: str = ""


@get("/profile")
async def profile_page(
    anyone: CurrentPage,
    signed_in: CurrentLogin,
    login_session: CurrentSession,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
    db: Db,
    done: FromQuery[str] = "",
) -> Template:
    """Who is logged in, and the forms to change it; `done` is the change that was just made."""
    return await _page(anyone, signed_in, login_session, upstreams, settings, db, done=_DONE.get(done, ""))


@post("/profile/password", status_code=303, request_max_body_size=16 * 1024)
async def change_password(
    request: AnyRequest,
    data: URLEncodedBody[PasswordForm],
    anyone: CurrentPage,
    signed_in: CurrentLogin,
    login_session: CurrentSession,
    upstreams: InjectedUpstreams,
    passwords: InjectedPasswords,
    settings: InjectedSettings,
    db: Db,
) -> Template | Redirect:
    """Change the password. All other sessions of the login end; this one gets a new id."""
    fault = Fault("password", fault_of(data.password))
    if not fault.words:
        try:
            refuse_shared(settings, signed_in.email)
            await actions.change_password(
                db, passwords, signed_in, data.present, data.password, address_of(request.scope)
            )
        except (WrongPassword, TooManyTries, LoginShared, actions.PasswordKnown) as error:
            fault = _fault("password", error)
    if fault.words:
        return await _page(anyone, signed_in, login_session, upstreams, settings, db, fault=fault)
    sessions.renew(request)
    return Redirect(anyone.path("profile?done=password"), status_code=303)


@post("/profile/email", status_code=303, request_max_body_size=16 * 1024)
async def change_email(
    request: AnyRequest,
    data: URLEncodedBody[EmailForm],
    anyone: CurrentPage,
    signed_in: CurrentLogin,
    login_session: CurrentSession,
    upstreams: InjectedUpstreams,
    passwords: InjectedPasswords,
    settings: InjectedSettings,
    db: Db,
) -> Template | Redirect:
    """Send a link to the new address, with which it becomes the login's."""
    try:
        refuse_shared(settings, signed_in.email)
        await actions.ask_for_email(
            db,
            passwords,
            signed_in,
            data.present,
            data.email,
            anyone.path("profile"),
            address_of(request.scope),
        )
    except (WrongPassword, TooManyTries, EmailNotValid, LoginShared, actions.PasswordKnown) as error:
        fault = _fault("email", error, data.email[:254])
        return await _page(anyone, signed_in, login_session, upstreams, settings, db, fault=fault)
    return Redirect(anyone.path("profile?done=email"), status_code=303)


@post("/profile/sessions/end", status_code=303)
async def end_sessions(request: AnyRequest, anyone: CurrentPage, signed_in: CurrentLogin, db: Db) -> Redirect:
    """End all sessions of the login, this one too."""
    await actions.log_out_everywhere(db, signed_in)
    sessions.sign_out(request)
    return Redirect(f"/login?next=/c/{anyone.clinic.slug}&why=everywhere", status_code=303)


def _fault(form: str, error: Exception, typed: str = "") -> Fault:
    match error:
        case TooManyTries():
            return Fault(form, words_of(error), 429, typed)
        case EmailNotValid():
            return Fault(form, "Type the new e-mail address, such as ann@example.com.", 400, typed)
        case LoginShared():
            return Fault(form, error.detail, 409, typed)
        case actions.PasswordKnown():
            return Fault(form, "Nothing was changed. Choose a password of your own first.", 409, typed)
    return Fault(form, _WRONG, 400, typed)


async def _page(
    page: PortalPage,
    login: SignedIn,
    here: LoginSession,
    upstreams: Upstreams,
    settings: Settings,
    db: Database,
    *,
    done: str = "",
    fault: Fault | None = None,
) -> Template:
    async with db.tx(None) as tx:
        found = await store.list_sessions(tx, login.login_id, sessions.IDLE)
    return page.render(
        "profile.html",
        "profile",
        status=fault.status if fault else 200,
        name=await _name(page, upstreams),
        email=login.email,
        is_shared=settings.is_shared(login.email),
        is_known=await actions.is_password_known(db, login),
        sessions=views.session_rows(found, here.id_hash, page.clinic),
        done=done,
        fault=fault,
        shortest=SHORTEST,
        longest=LONGEST,
    )


async def _name(page: PortalPage, upstreams: Upstreams) -> str:
    if page.caller.role == "staff":
        return f"Staff of {page.clinic.name}"
    return (await upstreams.client(page.caller, page.caller.subject)).name


profile_routes = [profile_page, change_password, change_email, end_sessions]
