"""The profile page: who is logged in, with which address, where; and the changes of it."""

import re
from dataclasses import dataclass

from litestar import get, post
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from contracts.vocabulary import CHOSEN_MAIL
from services.chassis.errors import DomainError
from services.gateway.accounts.actions import refuse_shared
from services.gateway.accounts.devices.actions import InjectedDevices, remember
from services.gateway.accounts.passwords import InjectedPasswords
from services.gateway.accounts.passwords import fault_of as fault_of_password
from services.gateway.accounts.profile import actions
from services.gateway.accounts.rate_limits.domain import TooManyTries
from services.gateway.accounts.sessions import backend as sessions
from services.gateway.portal.page import CurrentPage
from services.gateway.portal.profile.page import AnyRequest, CurrentProfile, Fault, fault_of
from services.gateway.portal.profile.passkeys import passkey_routes
from services.gateway.portal.profile.second_factor import second_factor_routes
from services.gateway.upstream.services import InjectedUpstreams

_DONE = {
    "password": "Your password is changed. You are logged out everywhere else.",
    "mail": "Your choice of e-mails is saved.",
    "email": "We are sending a link to the new address. Open it within a day: until then you log in with the old one.",
    "session": "That device is logged out.",
    "passkey": "Your passkey is added. You can log in with it from now on.",
    "passkey-removed": "The passkey is removed. You are logged out everywhere else.",
    "second-factor-off": "From now on you log in with your password alone.",
}


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
class MailForm:
    """A field for each kind of e-mail that can be chosen: its box sends a text, or nothing."""

    invoice_ready: str = ""
    reminder: str = ""
    method_expiring: str = ""
    _csrf_token: str = ""


@get("/profile")
async def profile_page(profile: CurrentProfile, done: FromQuery[str] = "") -> Template:
    """Who is logged in, and the forms to change it; `done` is the change that was just made."""
    return await profile.render(done=_DONE.get(done, ""))


@post("/profile/password", status_code=303, request_max_body_size=16 * 1024)
async def change_password(
    request: AnyRequest,
    data: URLEncodedBody[PasswordForm],
    profile: CurrentProfile,
    passwords: InjectedPasswords,
    devices: InjectedDevices,
) -> Template | Redirect:
    """Change the password. All other sessions of the login end; this one gets a new id."""
    if words := fault_of_password(data.password):
        return await profile.render(fault=Fault("password", words))
    try:
        refuse_shared(profile.settings, profile.login.email)
        await actions.change_password(profile.db, passwords, profile.login, data.present, data.password)
    except (DomainError, TooManyTries) as error:
        return await profile.render(fault=fault_of("password", error))
    sessions.renew(request)
    known = await remember(profile.db, devices, request, profile.login.login_id)
    return Redirect(profile.page.path("profile?done=password"), status_code=303, cookies=[known])


@post("/profile/email", status_code=303, request_max_body_size=16 * 1024)
async def change_email(
    data: URLEncodedBody[EmailForm],
    profile: CurrentProfile,
    passwords: InjectedPasswords,
) -> Template | Redirect:
    """Send a link to the new address, with which it becomes the login's."""
    try:
        refuse_shared(profile.settings, profile.login.email)
        await actions.ask_for_email(
            profile.db,
            passwords,
            profile.login,
            data.present,
            data.email,
            profile.page.path("profile"),
        )
    except (DomainError, TooManyTries) as error:
        return await profile.render(fault=fault_of("email", error, data.email[:254]))
    return Redirect(profile.page.path("profile?done=email"), status_code=303)


@post("/profile/sessions/{handle:str}/end", status_code=303)
async def end_session(handle: FromPath[str], profile: CurrentProfile) -> Redirect:
    """End one other session of the login. One that has ended, or is of another login, stays as it is."""
    if re.fullmatch(r"[0-9a-f]{64}", handle):
        await actions.log_out(profile.db, profile.login, bytes.fromhex(handle))
    return Redirect(profile.page.path("profile?done=session"), status_code=303)


@post("/profile/mail", status_code=303, request_max_body_size=16 * 1024)
async def choose_mail(
    data: URLEncodedBody[MailForm], page: CurrentPage, upstreams: InjectedUpstreams
) -> Redirect:
    """Save which e-mails the client wants; a kind that is not ticked stops."""
    for kind in CHOSEN_MAIL:
        await upstreams.choose_mail(page.caller, page.caller.subject, kind, wanted=bool(getattr(data, kind)))
    return Redirect(page.path("profile?done=mail"), status_code=303)


@post("/profile/sessions/end", status_code=303)
async def end_sessions(request: AnyRequest, profile: CurrentProfile) -> Redirect:
    """End all sessions of the login, this one too."""
    await actions.log_out_everywhere(profile.db, profile.login)
    sessions.sign_out(request)
    return Redirect(f"/login?next=/c/{profile.page.clinic.slug}&why=everywhere", status_code=303)


profile_routes = [
    profile_page,
    change_password,
    change_email,
    choose_mail,
    end_session,
    end_sessions,
    *second_factor_routes,
    *passkey_routes,
]
