"""Logins and portals: the verbs. Each takes the transaction first, except those whose duration must reveal nothing."""

from uuid import UUID

import asyncpg

from services.chassis import audit, emails
from services.chassis.db.database import Connection, Database
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.gateway.accounts import store
from services.gateway.accounts.devices import store as devices
from services.gateway.accounts.devices.domain import Browser
from services.gateway.accounts.domain import Membership, Role
from services.gateway.accounts.links import store as links
from services.gateway.accounts.passwords import Passwords, normal_email
from services.gateway.accounts.rate_limits import actions as limits
from services.gateway.accounts.rate_limits import domain
from services.gateway.accounts.sessions import store as sessions
from services.gateway.accounts.sessions.store import EndReason
from services.gateway.accounts.steps import store as steps
from services.gateway.accounts.store import ClinicAccess, Login
from services.gateway.settings import Settings


class WrongPassword(DomainError):
    """Also for an e-mail that has no login: the answer and its time are the same."""

    code = "wrong_password"
    status = 401


class SlugTaken(DomainError):
    code = "slug_taken"


class LoginShared(DomainError):
    """The login is the demo's, which its visitors share."""

    code = "login_shared"


class PasswordKnown(DomainError):
    """A clinic chose the login's password."""

    code = "password_known"


def refuse_shared(settings: Settings, email: str) -> None:
    """Raises `LoginShared` for a login of the demo: a change of it would lock all other visitors out."""
    if settings.is_shared(email):
        raise LoginShared(
            "This is the login of the demonstration. Its visitors share it, so it stays as it is."
        )


async def check_login(
    db: Database, passwords: Passwords, email: str, password: str, browser: Browser
) -> UUID:
    """The login that the password opens. Raises `WrongPassword`, or `TooManyTries` before the password is looked at.

    Tries of a browser that the login knows are counted apart, so that others' tries keep no owner out.
    """
    email = normal_email(email)
    async with db.tx(None) as tx:
        login = await store.get_login(tx, email)
    name = browser.name_at(login.id, login.device_generation, email) if login else None
    limited = domain.known_limits(name) if name else domain.login_limits(email, browser.address)
    return await _check(db, passwords, login, password, limited)


async def check_present(db: Database, passwords: Passwords, login_id: UUID, password: str) -> None:
    """Check the password of a login that is logged in. Raises as `check_login`; no stranger's try is counted here."""
    async with db.tx(None) as tx:
        login = await store.get_login_by_id(tx, login_id)
    await _check(db, passwords, login, password, domain.present_limits(login_id))


async def _check(
    db: Database, passwords: Passwords, login: Login | None, password: str, limited: tuple[domain.Limit, ...]
) -> UUID:
    """The login, which has this password. No connection is held while it is hashed."""
    await limits.count(db, limited)
    usable = login if login is not None and not login.disabled else None
    fits = await passwords.check(usable.password_hash if usable else None, password)
    if usable is None or not fits:
        raise WrongPassword("The e-mail address or the password is not right.")
    await limits.return_tries(db, limited)
    if passwords.outdated(usable.password_hash):
        renewed = await passwords.hash(password)
        async with db.tx(None) as tx:
            await store.set_password(tx, usable.id, renewed, usable.password_by)
    return usable.id


async def put_login(
    tx: Connection,
    *,
    email: str,
    password_hash: str,
    caller: Caller,
    client_id: UUID | None,
    role: Role,
) -> None:
    """Let the e-mail's owner sign in to the caller's clinic. The same call again changes nothing.

    An e-mail that has a login keeps its password, with one exception. A clinic knows a password that it chose, so
    that password opens no other clinic: a membership elsewhere is inactive until an operator gives a password, which
    replaces it, or the login's owner chooses one. The answer does not show this, since it would tell one clinic about
    another's clients.
    A login may have memberships for several clients of a clinic (a family), and for its staff. One that is added to a
    login that exists waits until its owner accepts it. A membership that is there is left as it is. Raises
    `EmailNotValid`.
    """
    emails.address(email)
    email = normal_email(email)
    by_operator = caller.role == "operator"
    is_new = await store.add_login(
        tx, new_id(), email, password_hash, None if by_operator else caller.clinic, caller.subject
    )
    login = await store.get_login(tx, email)
    assert login is not None, "just added, or there before and locked"
    before = await store.get_access(tx, caller.clinic, login.id, client_id)
    is_open = before is not None and before.active
    renewed = by_operator and login.password_by is not None and not is_open
    if renewed:
        await store.set_password(tx, login.id, password_hash, None)
        await store.activate_memberships(tx, login.id)
        await links.end_links_of(tx, login.id)
        await end_everywhere(tx, login.id)
    active = by_operator or login.password_by in (None, caller.clinic)
    place = ClinicAccess(client_id, role, active, accepted=is_new)
    after = await store.add_membership(tx, caller.clinic, login.id, place)
    was = None if is_new else (login.password_by, before)
    await audit.record(
        tx, caller, "put_login", login.id, was, (None if renewed else login.password_by, after)
    )


async def choose_password(tx: Connection, login_id: UUID, password_hash: str) -> None:
    """Give the login a password that its owner chose. Its sessions and its links end. Needs an operator's transaction.

    No clinic knows this password, so memberships that waited for such a one are active from now on. They still wait for
    the owner to accept them.
    """
    await store.set_password(tx, login_id, password_hash, None)
    await store.activate_memberships(tx, login_id)
    await links.end_links_of(tx, login_id)
    await end_everywhere(tx, login_id)


async def end_everywhere(tx: Connection, login_id: UUID, reason: EndReason = "password") -> None:
    """End all sessions of the login, all steps and codes towards one, and let it know no browser any more."""
    await devices.next_generation(tx, login_id)
    await sessions.end_sessions_of(tx, login_id, reason)
    await steps.end_steps_of(tx, login_id)
    await links.end_codes_of(tx, login_id)


async def lock_own(tx: Connection, login_id: UUID) -> Login:
    """The login, locked, if its owner alone may know the password. Raises `PasswordKnown`."""
    await store.lock_login(tx, login_id)
    found = await store.get_login_by_id(tx, login_id)
    if found is None or found.disabled or found.password_by is not None:
        raise PasswordKnown("Choose a password of your own first.")
    return found


async def answer_invitation(tx: Connection, login_id: UUID, invitation: Membership, accepted: bool) -> None:
    """Open a membership that waits for the login's owner, or decline it for good. The same call again does nothing.

    The row keeps the answer and its time; the audit log keeps what staff did.
    """
    answered = await store.answer_invitation(tx, invitation, login_id, accepted)
    if answered and invitation.role == "staff":
        itself = Caller(login_id, "staff", invitation.clinic_id)
        answer = "accepted" if accepted else "declined"
        await audit.record(tx, itself, "answer_invitation", login_id, None, answer)


async def put_portal(tx: Connection, caller: Caller, slug: str) -> None:
    """Give the portal of the caller's clinic its address. Raises `SlugTaken`."""
    try:
        before = await store.put_portal(tx, caller.clinic, slug)
    except asyncpg.UniqueViolationError:
        raise SlugTaken("Another clinic has this slug.") from None
    await audit.record(tx, caller, "put_portal", caller.clinic, before, slug)


async def note(db: Database, login_id: UUID, action: str) -> None:
    """Record what the login's owner did in the audit log of each clinic where the login is staff."""
    async with db.tx(None) as tx:
        memberships = await store.list_memberships(tx, login_id)
    for membership in memberships:
        if membership.role == "staff" and membership.accepted:
            async with db.tx(membership.clinic_id) as tx:
                itself = Caller(login_id, "staff", membership.clinic_id)
                await audit.record(tx, itself, action, login_id, None, None)
