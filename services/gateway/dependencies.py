"""What routes ask for by name: `signed_in`, `member`, `caller`, `login_session`."""

from typing import Any
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from services.chassis.auth import Caller
from services.chassis.db import Database
from services.gateway import sessions, store
from services.gateway.accounts import LoginSession, Membership, SignedIn
from services.gateway.operations import Operations
from services.gateway.passwords import Passwords
from services.gateway.settings import Settings
from services.gateway.upstreams import Upstreams

AnyRequest = Request[Any, Any, Any]
Db = NamedDependency[Database]
Asks = NamedDependency[Upstreams]
Carrying = NamedDependency[Operations]
Hashes = NamedDependency[Passwords]
Configured = NamedDependency[Settings]
Who = NamedDependency[SignedIn]
Place = NamedDependency[Membership]
Visitor = NamedDependency[Caller]
Session = NamedDependency[LoginSession]


class SignInFirst(Exception):
    """Nobody is signed in. Pages lead to the login; anything else gets 401."""


def login_session(request: AnyRequest) -> LoginSession:
    """The session. Raises `SignInFirst`."""
    login_id, id_hash = request.session.get("login_id"), sessions.id_hash_of(request)
    if login_id is None or id_hash is None:
        raise SignInFirst
    return LoginSession(id_hash, UUID(login_id))


async def signed_in(login_session: Session, db: Db) -> SignedIn:
    """The login behind the session, with the clinics that it opens now. Raises `SignInFirst`."""
    async with db.tx(None) as tx:
        login = await store.get_login_by_id(tx, login_session.login_id)
        if login is None or login.disabled:
            raise SignInFirst
        memberships = await store.list_memberships(tx, login.id)
    return SignedIn(login.id, login.email, tuple(memberships))


def member(slug: FromPath[str], signed_in: Who) -> Membership:
    """The login's place at the clinic in the path; 404 for a clinic that it does not open, or none has."""
    for membership in signed_in.memberships:
        if membership.slug == slug:
            return membership
    raise NotFoundException


def caller(member: Place, signed_in: Who) -> Caller:
    """On whose behalf the services are asked: the client at the clinic, or the clinic's staff."""
    return caller_of(member, signed_in.login_id)


def caller_of(member: Membership, login_id: UUID) -> Caller:
    return Caller(subject=member.client_id or login_id, role=member.role, clinic_id=member.clinic_id)


PORTAL = {
    "login_session": Provide(login_session, sync_to_thread=False),
    "signed_in": Provide(signed_in),
    "member": Provide(member, sync_to_thread=False),
    "caller": Provide(caller, sync_to_thread=False),
}
