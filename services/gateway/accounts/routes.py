"""Routes to sign in, to sign out and to choose a clinic."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from litestar import Request, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from contracts.http.clinics import ClinicOut
from services.chassis.db.database import Database
from services.chassis.http.auth import Caller
from services.chassis.http.problems import CHALLENGES
from services.chassis.locale.formats import Formats
from services.gateway.accounts import actions, entry, store
from services.gateway.accounts.dependencies import CHOSEN, CurrentLogin, caller_of
from services.gateway.accounts.devices.actions import InjectedDevices, browser_of
from services.gateway.accounts.domain import Membership, SignedIn, safe_next, slug_of
from services.gateway.accounts.errors import page_before
from services.gateway.accounts.passwords import InjectedPasswords, normal_email
from services.gateway.accounts.portals import clinic_of, demo_logins
from services.gateway.accounts.rate_limits.domain import TooManyTries, words_of
from services.gateway.accounts.sessions import backend as sessions
from services.gateway.accounts.steps import actions as steps
from services.gateway.settings import DEMO_PASSWORD, Settings
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.dependencies import Db, InjectedSettings

AnyRequest = Request[Any, Any, Any]


_WHY = {
    "idle": "You were logged out because nothing happened for a while. Log in to go on.",
    "long": "You were logged out because you had been logged in for long. Log in to go on.",
    "password": (
        "You were logged out because your login has a new password. "  # pragma: allowlist secret
        "Log in with it to go on."
    ),
    "closed": "You were logged out because your login was switched off. Please ask your clinic.",
    "gone": "You were logged out. Log in to go on.",
    "again": "This page was open for too long, so it had to be loaded again. Please log in once more. "
    "If you read this again, allow cookies for this site in your browser.",
    "late": "That took too long. Log in to go on.",
    "passkey": "The passkey was not accepted. Try again, or log in another way.",
    "out": "You are logged out.",
    "everywhere": "You are logged out everywhere.",
    "elsewhere": "You were logged out from another device. If you did not do that, choose a new password.",
    "email": "From now on you log in with your new e-mail address.",
    "ready": "Your login is ready. Log in with your e-mail address and your password.",
    "connected": "Your login is connected to the clinic. Log in with the password that you have.",
    "chosen": "Your password is changed. Log in with the new one.",
}
"""The words for each reason that leads to the login."""
_OR_A_LINK = "Or choose a new password by a link that we e-mail: you can log in with it at once."
"""Others' tries do not keep out who has opened such a link (`devices`)."""


@dataclass(frozen=True, slots=True)
class LoginForm:
    email: str = ""
    password: str = ""
    next: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class ClinicChoice:
    """A membership to choose or to accept. `person` is the client's name where it has to be told from others.

    `owed` are the sums to pay there, by currency; None where the clinic shows no bills, and while they cannot be read.
    `is_last`: it was opened last.
    """

    slug: str
    name: str
    place: str
    person: str = ""
    is_staff: bool = False
    owed: tuple[str, ...] | None = None
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class ChoiceForm:
    slug: str = ""
    place: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class InvitationForm:
    """`answer` is accept or decline; `next` is the page that led here."""

    slug: str = ""
    place: str = ""
    answer: Literal["accept", "decline"] = "decline"
    next: str = ""
    _csrf_token: str = ""


@get("/")
async def start(request: AnyRequest) -> Redirect:
    """Redirect to the list of clinics, which redirects to the login if needed."""
    return Redirect("/clinics" if request.session else "/login", status_code=303)


@get("/login")
async def login_page(
    request: AnyRequest,
    db: Db,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
    next: FromQuery[str] = "",
    why: FromQuery[str] = "",
) -> Template | Redirect:
    """The login page; a redirect to `next` for a login with a session. `why`: what led here."""
    target = safe_next(next)
    if request.session:
        return Redirect(target if target != "/" else "/clinics", status_code=303)
    async with db.tx(None) as tx:
        step = await steps.current(tx, request, settings.https)
    return await _login_page(settings, db, upstreams, target, why=why, email=step.email if step else "")


@post("/login", status_code=303, request_max_body_size=16 * 1024)
async def log_in(
    request: AnyRequest,
    data: URLEncodedBody[LoginForm],
    db: Db,
    passwords: InjectedPasswords,
    devices: InjectedDevices,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
) -> Template | Redirect:
    """Begin a session, or ask for the second factor.

    401 for a wrong password or an unknown e-mail alike, 429 after too many tries.
    """
    target = safe_next(data.next)
    try:
        browser = await browser_of(db, devices, request)
        login_id = await actions.check_login(db, passwords, data.email, data.password, browser)
    except actions.WrongPassword as error:
        return await _login_page(
            settings, db, upstreams, target, status=401, email=data.email, error=error.detail
        )
    except TooManyTries as error:
        headers = {"Retry-After": str(error.retry_after)}
        return await _login_page(
            settings,
            db,
            upstreams,
            target,
            status=429,
            email=data.email,
            error=f"{words_of(error)} {_OR_A_LINK}",
            headers=headers,
        )
    return await entry.go_on(request, db, settings, devices, login_id, normal_email(data.email), target)


@post("/logout", status_code=303)
async def log_out(request: AnyRequest) -> Redirect:
    """End the session. The login has the look of the clinic that was left, and leads back to it."""
    sessions.sign_out(request)
    slug = slug_of(page_before(request))
    return Redirect(f"/login?next=/c/{slug}&why=out" if slug else "/login?why=out", status_code=303)


@get("/clinics")
async def choose_clinic(
    signed_in: CurrentLogin, upstreams: InjectedUpstreams, next: FromQuery[str] = ""
) -> Template | Redirect:
    """The login's memberships, the last one first, and those to accept; a redirect to the only one."""
    if len(signed_in.memberships) == 1 and not signed_in.invitations:
        return Redirect(f"/c/{signed_in.memberships[0].slug}", status_code=303)
    places = sorted(signed_in.memberships, key=lambda each: each != signed_in.last)
    choices = await asyncio.gather(*(_choice(each, signed_in, upstreams) for each in places))
    invitations = await asyncio.gather(
        *(_invitation(each, signed_in, upstreams) for each in signed_in.invitations)
    )
    context = {
        "clinics": choices,
        "invitations": invitations,
        "email": signed_in.email,
        "next": safe_next(next),
    }
    return Template("clinics.html", context=context)


@post("/clinics", status_code=303)
async def choose_place(
    request: AnyRequest, data: URLEncodedBody[ChoiceForm], signed_in: CurrentLogin, db: Db
) -> Redirect:
    """Open a clinic as one of the login's clients there, and keep the choice in the session."""
    chosen = await _named(signed_in.memberships, data, db)
    _choose(request, chosen)
    return Redirect(f"/c/{chosen.slug}", status_code=303)


@post("/clinics/invitations", status_code=303)
async def answer_invitation(
    request: AnyRequest, data: URLEncodedBody[InvitationForm], signed_in: CurrentLogin, db: Db
) -> Redirect:
    """Open a membership that waits for its login, or decline it for good. Leads on to the page that was asked for."""
    invitation = await _named(signed_in.invitations, data, db)
    accepted = data.answer == "accept"
    async with db.tx(invitation.clinic_id) as tx:
        await actions.answer_invitation(tx, signed_in.login_id, invitation, accepted)
    if not accepted:
        return Redirect("/clinics", status_code=303)
    _choose(request, invitation)
    target = safe_next(data.next)
    return Redirect(target if target != "/" else f"/c/{invitation.slug}", status_code=303)


async def _named(
    members: Iterable[Membership], data: ChoiceForm | InvitationForm, db: Database
) -> Membership:
    """The membership that the form names, also by an address that the portal had when the form was shown.

    404 without one.
    """
    async with db.tx(None) as tx:
        clinic_id = await store.get_clinic_of_portal(tx, data.slug)
    for each in members:
        if (each.clinic_id, each.name) == (clinic_id, data.place):
            return each
    raise NotFoundException


def _choose(request: AnyRequest, member: Membership) -> None:
    """Keep in the session as which of its clients the login opens the clinic."""
    chosen = {**request.session.get(CHOSEN, {}), str(member.clinic_id): member.name}
    request.set_session({**request.session, CHOSEN: chosen})


async def _invitation(member: Membership, signed_in: SignedIn, upstreams: Upstreams) -> ClinicChoice:
    """The clinic's and the client's name, and nothing else of the client before the login accepts.

    Without the client's name, two children at one clinic look alike. E-mails of the clinic to this address have it too.
    """
    caller, is_staff = caller_of(member, signed_in.login_id), member.client_id is None
    try:
        clinic, person = await asyncio.gather(upstreams.clinic(caller), _person(member, caller, upstreams))
    except UpstreamError:
        return ClinicChoice(member.slug, _name_of(member.slug), member.name, is_staff=is_staff)
    return ClinicChoice(member.slug, clinic.name, member.name, person, is_staff)


def _name_of(slug: str) -> str:
    """A clinic's name as its address has it, while invoice is unreachable."""
    return slug.replace("-", " ").title()


async def _choice(member: Membership, signed_in: SignedIn, upstreams: Upstreams) -> ClinicChoice:
    """The clinic's name, the client's if there are several, and the sums to pay; the slug while invoice is away."""
    caller = caller_of(member, signed_in.login_id)
    several = signed_in.has_several_at(member.clinic_id)
    is_last = member == signed_in.last
    try:
        clinic = await upstreams.clinic(caller)
        person = await _person(member, caller, upstreams) if several else ""
        owed = await _owed(clinic, caller, upstreams)
    except UpstreamError:
        return ClinicChoice(member.slug, _name_of(member.slug), member.name, is_last=is_last)
    return ClinicChoice(member.slug, clinic.name, member.name, person, owed=owed, is_last=is_last)


async def _owed(clinic: ClinicOut, caller: Caller, upstreams: Upstreams) -> tuple[str, ...] | None:
    if caller.role == "staff" or not clinic.billing_shown:
        return None
    write = Formats.of(clinic)
    return tuple(write.money(each) for each in (await upstreams.summary(caller)).due if each.minor > 0)


async def _person(member: Membership, caller: Caller, upstreams: Upstreams) -> str:
    """The client's name, or "Staff"."""
    if member.client_id is None:
        return "Staff"
    return (await upstreams.client(caller, member.client_id)).name


async def _login_page(
    settings: Settings,
    db: Database,
    upstreams: Upstreams,
    target: str,
    *,
    why: str = "",
    status: int = 200,
    email: str = "",
    error: str = "",
    headers: dict[str, str] | None = None,
) -> Template:
    context = {
        "next": target,
        "email": email[:254],
        "error": error,
        "demo_logins": await demo_logins(target, settings, db),
        "demo_password": DEMO_PASSWORD,
        "clinic": await clinic_of(target, db, upstreams),
        "why": _WHY.get(why, ""),
        "has_passkeys": settings.passkey_host is not None,
    }
    return Template(
        "login.html",
        context=context,
        status_code=status,
        headers={**CHALLENGES.get(status, {}), **(headers or {})},
    )


account_routes = [start, login_page, log_in, log_out, choose_clinic, choose_place, answer_invitation]
