"""Shared by the routes of the profile page: the dependency `profile`, and the faults of its forms."""

from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.response import Template

from services.chassis.db.database import Database
from services.chassis.emails import EmailNotValid
from services.chassis.errors import DomainError
from services.gateway.accounts.actions import PasswordKnown, WrongPassword
from services.gateway.accounts.dependencies import CurrentLogin, CurrentSession
from services.gateway.accounts.domain import LoginSession, SignedIn
from services.gateway.accounts.passkeys.actions import list_passkeys
from services.gateway.accounts.passwords import LONGEST, SHORTEST
from services.gateway.accounts.profile import actions
from services.gateway.accounts.rate_limits.domain import TooManyTries, words_of
from services.gateway.accounts.second_factors import actions as second_factors
from services.gateway.accounts.sessions import backend as sessions
from services.gateway.accounts.sessions import store
from services.gateway.portal.page import CurrentPage, PortalPage
from services.gateway.portal.profile import views
from services.gateway.settings import Settings
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.dependencies import Db, InjectedSettings

AnyRequest = Request[Any, Any, Any]
_WRONG = "The present password is not right."


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of a form, by the form's name, and the address or code that was typed."""

    form: str
    words: str
    status: int = 400
    typed: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """Whose profile it is, and what its page needs."""

    page: PortalPage
    login: SignedIn
    here: LoginSession
    upstreams: Upstreams
    settings: Settings
    db: Database

    async def render(self, *, done: str = "", fault: Fault | None = None) -> Template:
        async with self.db.tx(None) as tx:
            found = await store.list_sessions(tx, self.login.login_id, sessions.IDLE)
        factor = await second_factors.get(self.db, self.login.login_id)
        return self.page.render(
            "profile.html",
            "profile",
            status=fault.status if fault else 200,
            name=await self._name(),
            email=self.login.email,
            is_shared=self.settings.is_shared(self.login.email),
            is_known=await actions.is_password_known(self.db, self.login),
            passkeys=await self._passkeys(),
            recovery_codes_left=factor.codes_left if factor else None,
            sessions=views.session_rows(found, self.here.id_hash, self.page.clinic),
            done=done,
            fault=fault,
            mail=await self._mail(),
            shortest=SHORTEST,
            longest=LONGEST,
        )

    async def _passkeys(self) -> list[views.PasskeyRow] | None:
        """A row for each passkey; None where browsers have none."""
        if self.settings.passkey_host is None:
            return None
        return views.passkey_rows(await list_passkeys(self.db, self.login.login_id), self.page.clinic)

    async def _mail(self) -> list[views.MailRow] | None:
        """A row for each kind of e-mail. None for staff, without an address, or while notification is unreachable."""
        if self.page.caller.role == "staff":
            return None
        try:
            choices = await self.upstreams.mail_choices(self.page.caller, self.page.caller.subject)
        except UpstreamError:
            return None
        return views.mail_rows(choices.unwanted)

    async def _name(self) -> str:
        if self.page.caller.role == "staff":
            return f"Staff of {self.page.clinic.name}"
        return (await self.upstreams.client(self.page.caller, self.page.caller.subject)).name


CurrentProfile = NamedDependency[Profile]


async def profile(
    anyone: CurrentPage,
    signed_in: CurrentLogin,
    login_session: CurrentSession,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
    db: Db,
) -> Profile:
    """The profile of who is logged in, in the clinic's portal."""
    return Profile(anyone, signed_in, login_session, upstreams, settings, db)


def fault_of(form: str, error: Exception, typed: str = "") -> Fault:
    """The words for what refused a form."""
    match error:
        case TooManyTries():
            return Fault(form, words_of(error), 429, typed)
        case WrongPassword():
            return Fault(form, _WRONG, 400, typed)
        case EmailNotValid():
            return Fault(form, "Type the new e-mail address, such as ann@example.com.", 400, typed)
        case PasswordKnown():
            return Fault(form, "Nothing was changed. Choose a password of your own first.", 409, typed)
        case second_factors.WrongCode() | second_factors.UsedCode():
            return Fault(form, error.detail, 400, typed)
        case DomainError():
            return Fault(form, error.detail, error.status, typed)
    raise error
