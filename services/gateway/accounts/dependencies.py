"""Dependencies that routes name: `signed_in`, `member`, `caller`, `login_session`."""

from typing import Any
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from services.chassis.db.database import Database
from services.chassis.http.auth import Caller
from services.gateway.accounts import store
from services.gateway.accounts.domain import (
    InvitationWaits,
    LoginSession,
    Membership,
    NotSignedIn,
    PortalMoved,
    SignedIn,
)
from services.gateway.accounts.sessions import backend as sessions
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.dependencies import Db

AnyRequest = Request[Any, Any, Any]
CurrentLogin = NamedDependency[SignedIn]
CurrentMembership = NamedDependency[Membership]
CurrentCaller = NamedDependency[Caller]
CurrentSession = NamedDependency[LoginSession]


CHOSEN = "places"
"""The session's key for the last chosen membership: its name, by the clinic's id."""


def login_session(request: AnyRequest) -> LoginSession:
    """The session. Raises `NotSignedIn`."""
    login_id, id_hash = request.session.get("login_id"), sessions.id_hash_of(request)
    if login_id is None or id_hash is None:
        raise NotSignedIn
    return LoginSession(id_hash, UUID(login_id))


async def signed_in(login_session: CurrentSession, db: Db) -> SignedIn:
    """The login behind the session, with the clinics that it opens now. Raises `NotSignedIn`."""
    async with db.tx(None) as tx:
        login = await store.get_login_by_id(tx, login_session.login_id)
        if login is None or login.disabled:
            raise NotSignedIn("closed")
        found = await store.list_memberships(tx, login.id)
    return SignedIn(
        login.id,
        login.email,
        memberships=tuple(each for each in found if each.accepted),
        invitations=tuple(each for each in found if not each.accepted),
    )


async def member(
    slug: FromPath[str], request: AnyRequest, signed_in: CurrentLogin, upstreams: InjectedUpstreams, db: Db
) -> Membership:
    """The login's membership of the clinic in the path; 404 without one, or for an unknown slug.

    Of several memberships (a family), the one whose invoice or payment is asked for, else the last one chosen, in an
    earlier session too. Raises `InvitationWaits` for an address that none of them shows, while a membership of the
    clinic waits to be accepted, and `PortalMoved` for an address that the portal had before.
    """
    place = await _place(slug, request, signed_in, upstreams, db)
    if len(signed_in.memberships) > 1 and place != signed_in.last:
        async with db.tx(place.clinic_id) as tx:
            await store.mark_opened(tx, place, signed_in.login_id)
    return place


async def _place(
    slug: str, request: AnyRequest, signed_in: SignedIn, upstreams: Upstreams, db: Database
) -> Membership:
    here = [membership for membership in signed_in.memberships if membership.slug == slug]
    invited = any(invitation.slug == slug for invitation in signed_in.invitations)
    if not here:
        raise InvitationWaits if invited else await _elsewhere(slug, db)
    if len(here) == 1 and not invited:
        return here[0]
    chosen = request.session.get(CHOSEN, {}).get(str(here[0].clinic_id))
    here.sort(key=lambda place: (place.name != chosen, place != signed_in.last, place.client_id is None))
    for place in here:
        if await _shows(place, signed_in.login_id, request, upstreams):
            return place
    if invited and _ids_in(request).keys() & _NAMED:
        raise InvitationWaits
    return here[0]


async def _elsewhere(slug: str, db: Database) -> Exception:
    """Where the portal is now, or that there is none for this login."""
    async with db.tx(None) as tx:
        new = await store.get_new_slug(tx, slug)
    return PortalMoved(slug, new) if new else NotFoundException()


async def _shows(place: Membership, login_id: UUID, request: AnyRequest, upstreams: Upstreams) -> bool:
    """Whether the membership may read the invoice and the payment that the address names."""
    if place.client_id is None:
        return False
    named = _ids_in(request)
    caller = caller_of(place, login_id)
    try:
        if invoice_id := named.get("invoice_id") or named.get("invoice"):
            await upstreams.invoice(caller, UUID(str(invoice_id)))
        if payment_id := named.get("payment_id") or named.get("payment"):
            await upstreams.payment(caller, UUID(str(payment_id)))
    except (UpstreamError, ValueError):
        return False
    return True


_NAMED = {"invoice_id", "invoice", "payment_id", "payment"}
"""Parameters of addresses that belong to one client."""


def _ids_in(request: AnyRequest) -> dict[str, Any]:
    """The parameters of the address, in its query and its path."""
    return {**request.query_params.dict(), **request.path_params}


def caller(member: CurrentMembership, signed_in: CurrentLogin) -> Caller:
    """On whose behalf the services are asked: the client at the clinic, or the clinic's staff."""
    return caller_of(member, signed_in.login_id)


def caller_of(member: Membership, login_id: UUID) -> Caller:
    return Caller(subject=member.client_id or login_id, role=member.role, clinic_id=member.clinic_id)


PORTAL = {
    "login_session": Provide(login_session, sync_to_thread=False),
    "signed_in": Provide(signed_in),
    "member": Provide(member),
    "caller": Provide(caller, sync_to_thread=False),
}
