"""Codes from an app as a second factor, on the profile page: on, off, and new recovery codes."""

from dataclasses import dataclass

from litestar import get, post
from litestar.params import URLEncodedBody
from litestar.response import Redirect, Template

from services.chassis.errors import DomainError
from services.gateway.accounts.actions import refuse_shared
from services.gateway.accounts.devices.actions import InjectedDevices, remember
from services.gateway.accounts.passwords import InjectedPasswords
from services.gateway.accounts.rate_limits.domain import TooManyTries
from services.gateway.accounts.sealing import InjectedSealer
from services.gateway.accounts.second_factors import actions
from services.gateway.accounts.second_factors.actions import NoSecondFactor
from services.gateway.accounts.sessions import backend as sessions
from services.gateway.portal.profile.page import AnyRequest, CurrentProfile, Fault, fault_of

ON = "From now on you log in with your password and a code. You are logged out everywhere else."
RENEWED = "You have new recovery codes. The old ones do not work any more."


@dataclass(frozen=True, slots=True)
class StartForm:
    present: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class CodeForm:
    code: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class BothForm:
    present: str = ""
    code: str = ""
    _csrf_token: str = ""


@post("/profile/second-factor", status_code=303, request_max_body_size=16 * 1024)
async def start(
    data: URLEncodedBody[StartForm],
    profile: CurrentProfile,
    passwords: InjectedPasswords,
    sealer: InjectedSealer,
) -> Template | Redirect:
    """Make a secret for an app, and show it on a page of its own."""
    try:
        refuse_shared(profile.settings, profile.login.email)
        await actions.prepare(profile.db, passwords, sealer, profile.here, data.present)
    except (DomainError, TooManyTries) as error:
        return await profile.render(fault=fault_of("second-factor", error))
    return Redirect(profile.page.path("profile/second-factor"), status_code=303)


@get("/profile/second-factor")
async def setup_page(profile: CurrentProfile, sealer: InjectedSealer) -> Template | Redirect:
    """The secret that this session set up; back to the profile without one."""
    return await _setup_page(profile, sealer)


@post("/profile/second-factor/confirm", status_code=200, request_max_body_size=16 * 1024)
async def confirm(
    request: AnyRequest,
    data: URLEncodedBody[CodeForm],
    profile: CurrentProfile,
    sealer: InjectedSealer,
    devices: InjectedDevices,
) -> Template | Redirect:
    """Switch it on, and show the recovery codes, this once. This session gets a new id, all others end."""
    try:
        codes = await actions.switch_on(profile.db, sealer, profile.here, data.code)
    except NoSecondFactor as error:
        return await profile.render(fault=fault_of("second-factor", error))
    except (DomainError, TooManyTries) as error:
        return await _setup_page(profile, sealer, fault_of("code", error, data.code))
    sessions.renew(request)
    page = profile.page.render("recovery_codes.html", "profile", codes=codes, done=ON)
    page.cookies.append(await remember(profile.db, devices, request, profile.login.login_id))
    return page


@post("/profile/second-factor/off", status_code=303, request_max_body_size=16 * 1024)
async def switch_off(
    data: URLEncodedBody[BothForm],
    profile: CurrentProfile,
    passwords: InjectedPasswords,
    sealer: InjectedSealer,
) -> Template | Redirect:
    """Switch it off, by password and code."""
    try:
        await actions.switch_off(profile.db, passwords, sealer, profile.login, data.present, data.code)
    except (DomainError, TooManyTries) as error:
        return await profile.render(fault=fault_of("second-factor", error, data.code))
    return Redirect(profile.page.path("profile?done=second-factor-off"), status_code=303)


@post("/profile/second-factor/codes", status_code=200, request_max_body_size=16 * 1024)
async def renew_codes(
    data: URLEncodedBody[BothForm],
    profile: CurrentProfile,
    passwords: InjectedPasswords,
    sealer: InjectedSealer,
) -> Template:
    """Show new recovery codes, this once. The old ones end."""
    try:
        codes = await actions.renew_codes(
            profile.db, passwords, sealer, profile.login, data.present, data.code
        )
    except (DomainError, TooManyTries) as error:
        return await profile.render(fault=fault_of("second-factor", error, data.code))
    return profile.page.render("recovery_codes.html", "profile", codes=codes, done=RENEWED)


async def _setup_page(
    profile: CurrentProfile, sealer: InjectedSealer, fault: Fault | None = None
) -> Template | Redirect:
    try:
        setup = await actions.get_setup(
            profile.db, sealer, profile.here, profile.login.email, profile.page.clinic.name
        )
    except NoSecondFactor as error:
        return await profile.render(fault=fault_of("second-factor", error))
    if setup is None:
        return Redirect(profile.page.path("profile"), status_code=303)
    status = fault.status if fault else 200
    return profile.page.render("second_factor.html", "profile", status=status, setup=setup, fault=fault)


second_factor_routes = [start, setup_page, confirm, switch_off, renew_codes]
