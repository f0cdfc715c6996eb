"""Invite clients to their clinic's portal, by a link with which they choose a password.

Who opens the link has read the mailbox, so the login and its membership need no further proof.
"""

from dataclasses import dataclass
from uuid import UUID

from contracts.http.letters import LetterTemplate
from services.chassis import audit, emails
from services.chassis.db.database import Connection, Database
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.gateway.accounts import store as accounts
from services.gateway.accounts.domain import Membership
from services.gateway.accounts.invitations import store
from services.gateway.accounts.invitations.store import Invitation
from services.gateway.accounts.letters import actions as letters
from services.gateway.accounts.letters import store as letter_store
from services.gateway.accounts.letters.domain import Letter
from services.gateway.accounts.links import domain as links
from services.gateway.accounts.links import store as link_store
from services.gateway.accounts.links.domain import Link, LinkEnded
from services.gateway.accounts.passwords import Passwords, normal_email
from services.gateway.accounts.rate_limits import actions as limits
from services.gateway.accounts.rate_limits.domain import invitation_limits
from services.gateway.accounts.store import ClinicAccess, Login


@dataclass(frozen=True, slots=True)
class OpenInvitation:
    """An invitation whose link works. `has_login`: its address has a login by now, which keeps its password."""

    invitation: Invitation
    link: Link
    slug: str
    has_login: bool


async def invite(tx: Connection, caller: Caller, client_id: UUID, email: str) -> None:
    """Invite a client of the caller's clinic, by a letter to its contact's address. Raises `EmailNotValid`.

    An address that has a login gets the letter about a membership that waits for its owner. The caller is not told
    which: it would tell a clinic about others' clients. One client gets so many letters an hour from a clinic, and one
    address of several clients; the last one's link stays good then.
    """
    address = normal_email(emails.address(email))
    login = await accounts.get_login(tx, address)
    within = await limits.is_letter_allowed(tx, invitation_limits(caller.clinic, client_id, address))
    if login is not None:
        await _connect(tx, caller, client_id, login, within)
    elif within:
        await _send_link(tx, caller, client_id, address)
    await audit.record(tx, caller, "invite_client", client_id, None, "invited")


async def end(tx: Connection, clinic_id: UUID, client_id: UUID) -> None:
    """End the client's invitation: it went to an address that the client has no more."""
    link_id = await store.delete_invitation(tx, clinic_id, client_id)
    if link_id is not None:
        await link_store.end_link(tx, link_id)


async def _send_link(tx: Connection, caller: Caller, client_id: UUID, address: str) -> None:
    link_id, lasts = new_id(), links.LIFETIMES["invitation"]
    await link_store.add_link(tx, link_id, "invitation", None, address, lasts)
    invitation = Invitation(caller.clinic, client_id, caller.subject)
    before = await store.put_invitation(tx, invitation, link_id, lasts)
    if before is not None:
        await link_store.end_link(tx, before)
    slug = await accounts.get_slug(tx, caller.clinic)
    path = f"/invitation/{links.TOKEN}?next=/c/{slug}"
    letter = Letter(new_id(), caller.clinic, "invitation", address, path, link_id)
    await letter_store.add_letter(tx, letter, lasts)


async def _connect(tx: Connection, caller: Caller, client_id: UUID, login: Login, within: bool) -> None:
    """Add a membership that waits for the login's owner, and write to them. A declined one stays so, in silence.

    While a clinic knows the login's password, the membership waits for one that no clinic knows.
    """
    is_open = login.password_by in (None, caller.clinic)
    place = ClinicAccess(client_id, "client", is_open, accepted=False)
    after = await accounts.add_membership(tx, caller.clinic, login.id, place)
    declined = await store.was_declined(tx, caller.clinic, login.id, client_id)
    if declined or login.disabled or not within:
        return
    slug = await accounts.get_slug(tx, caller.clinic)
    template: LetterTemplate = "membership_waits" if after.active else "membership_locked"
    path = f"/login?next=/c/{slug}" if after.active else f"/password?next=/c/{slug}"
    await letters.add_notice(tx, Letter(new_id(), caller.clinic, template, login.email, path))


async def find(db: Database, token: str) -> OpenInvitation:
    """The invitation that the token opens. Changes nothing. Raises `LinkEnded`."""
    async with db.tx(None, operator=True) as tx:
        return await _open(tx, await link_store.get_link(tx, "invitation", links.hash_of(token)))


async def accept(db: Database, passwords: Passwords, token: str, password: str | None) -> OpenInvitation:
    """Use up the link: make the login with this password, and its membership, accepted. Raises `LinkEnded`.

    An address that has a login by now keeps its password: pass None then, and the membership is added to it.
    """
    hashed = None if password is None else await passwords.hash(password)
    async with db.tx(None, operator=True) as tx:
        found = await _open(tx, await link_store.use_link(tx, "invitation", links.hash_of(token)))
        invitation, email = found.invitation, found.link.email
        await store.delete_invitation(tx, invitation.clinic_id, invitation.client_id)
        if hashed is not None:
            await accounts.add_login(tx, new_id(), email, hashed, None, invitation.made_by)
        login = await accounts.get_login(tx, email)
        if login is None or login.disabled:
            raise LinkEnded
        is_open = login.password_by in (None, invitation.clinic_id)
        place = ClinicAccess(invitation.client_id, "client", is_open, accepted=True)
        await accounts.add_membership(tx, invitation.clinic_id, login.id, place)
        waiting = Membership(invitation.clinic_id, invitation.client_id, found.slug, "client")
        await accounts.answer_invitation(tx, waiting, login.id, accepted=True)
    return found


async def _open(tx: Connection, link: Link | None) -> OpenInvitation:
    invitation = None if link is None else await store.get_invitation(tx, link.id)
    if link is None or invitation is None:
        raise LinkEnded
    slug = await accounts.get_slug(tx, invitation.clinic_id)
    login = await accounts.get_login(tx, link.email)
    return OpenInvitation(invitation, link, slug, login is not None)
