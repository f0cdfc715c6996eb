"""Passkeys on the profile page: add one, and remove one."""

from dataclasses import dataclass
from uuid import UUID

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Redirect, Template

from services.chassis.errors import DomainError
from services.gateway.accounts.actions import refuse_shared
from services.gateway.accounts.devices.actions import InjectedDevices, remember
from services.gateway.accounts.passkeys import actions
from services.gateway.accounts.passkeys.actions import InjectedPasskeySite
from services.gateway.accounts.passkeys.domain import LONGEST_NAME, name_of
from services.gateway.accounts.passwords import InjectedPasswords
from services.gateway.accounts.rate_limits.domain import TooManyTries
from services.gateway.accounts.sealing import InjectedSealer
from services.gateway.accounts.sessions import backend as sessions
from services.gateway.accounts.sessions.domain import device_of
from services.gateway.portal.profile.page import AnyRequest, CurrentProfile, fault_of


@dataclass(frozen=True, slots=True)
class StartForm:
    present: str = ""
    code: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class MadeForm:
    """`credential` is the browser's answer to the challenge, as JSON."""

    name: str = ""
    credential: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class RemoveForm:
    present: str = ""
    _csrf_token: str = ""


@post("/profile/passkeys", status_code=303, request_max_body_size=16 * 1024)
async def start(
    data: URLEncodedBody[StartForm],
    profile: CurrentProfile,
    passwords: InjectedPasswords,
    sealer: InjectedSealer,
    passkey_site: InjectedPasskeySite,
) -> Template | Redirect:
    """Give this session a challenge, and show the page that makes the passkey."""
    if passkey_site is None:
        raise NotFoundException
    try:
        refuse_shared(profile.settings, profile.login.email)
        await actions.prepare(profile.db, passwords, sealer, profile.here, data.present, data.code)
    except (DomainError, TooManyTries) as error:
        return await profile.render(fault=fault_of("passkeys", error))
    return Redirect(profile.page.path("profile/passkeys"), status_code=303)


@get("/profile/passkeys")
async def making_page(
    request: AnyRequest, profile: CurrentProfile, passkey_site: InjectedPasskeySite
) -> Template | Redirect:
    """The page whose script lets the browser make the passkey; back to the profile without a challenge."""
    options = (
        await actions.get_options(profile.db, passkey_site, profile.here, profile.login.email)
        if passkey_site
        else None
    )
    if options is None:
        return Redirect(profile.page.path("profile"), status_code=303)
    name = device_of(request.headers.get("User-Agent", ""))
    return profile.page.render("passkey.html", "profile", options=options, name=name, longest=LONGEST_NAME)


@post("/profile/passkeys/made", status_code=303, request_max_body_size=16 * 1024)
async def add(
    request: AnyRequest,
    data: URLEncodedBody[MadeForm],
    profile: CurrentProfile,
    passkey_site: InjectedPasskeySite,
) -> Template | Redirect:
    """Add the passkey that the browser made."""
    if passkey_site is None:
        raise NotFoundException
    name = name_of(data.name, device_of(request.headers.get("User-Agent", "")))
    try:
        await actions.add(profile.db, passkey_site, profile.here, name, data.credential)
    except (DomainError, TooManyTries) as error:
        return await profile.render(fault=fault_of("passkeys", error))
    return Redirect(profile.page.path("profile?done=passkey"), status_code=303)


@post("/profile/passkeys/{passkey_id:uuid}/remove", status_code=303, request_max_body_size=16 * 1024)
async def remove(
    request: AnyRequest,
    passkey_id: FromPath[UUID],
    data: URLEncodedBody[RemoveForm],
    profile: CurrentProfile,
    passwords: InjectedPasswords,
    devices: InjectedDevices,
) -> Template | Redirect:
    """Remove it. All other sessions of the login end; this one gets a new id."""
    try:
        await actions.remove(profile.db, passwords, profile.login.login_id, passkey_id, data.present)
    except (DomainError, TooManyTries) as error:
        return await profile.render(fault=fault_of("passkeys", error))
    sessions.renew(request)
    known = await remember(profile.db, devices, request, profile.login.login_id)
    return Redirect(profile.page.path("profile?done=passkey-removed"), status_code=303, cookies=[known])


passkey_routes = [start, making_page, add, remove]
