"""Clients over the public API: one client is a contact in notification, a client in invoice and a login here."""

from collections.abc import Awaitable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from contracts.http.clients import ClientIn
from contracts.http.contacts import ContactIn
from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.gateway.accounts.invitations import actions as invitations
from services.gateway.accounts.passwords import Passwords
from services.gateway.api.clients.schemas import ClientAnswer, InvitationAnswer, NewClient
from services.gateway.api.idempotency.actions import IdempotentRequest
from services.gateway.api.operations.actions import Operations
from services.gateway.api.operations.plans import ChangeClient, CreateClient, NewLogin
from services.gateway.upstream.calls import all_accepted, found_or_none
from services.gateway.upstream.services import Upstreams

_OF_CONTACT = ("email", "name", "language")
_OF_CLIENT = ("name", "billing_address", "tax_number", "external_id", "metadata")


class LoginOrInvitation(DomainError):
    """A client gets a login with a password that the clinic knows, or chooses one; not both."""

    code = "login_or_invitation"
    status = 422


async def create_client(
    operations: Operations,
    upstreams: Upstreams,
    passwords: Passwords,
    caller: Caller,
    client_id: UUID,
    new: NewClient,
    request: IdempotentRequest,
) -> None:
    """Add a client, its contact and its login or its invitation. A client that is there stays as it is.

    Raises `LoginOrInvitation`.
    """
    if new.login is not None and new.invite:
        raise LoginOrInvitation("Give `login`, or `invite`, not both.", field="invite")
    if await operations.was_carried_out(caller, client_id, request):
        return
    contact = ContactIn(email=new.email, name=new.name, language=new.language)
    client = ClientIn(
        name=new.name,
        billing_address=new.billing_address,
        tax_number=new.tax_number,
        external_id=new.external_id,
        metadata=new.metadata,
    )
    (_, is_new), (_, contact_is_new) = await all_accepted(
        upstreams.create_client(caller, client_id, client, check=True),
        upstreams.create_contact(caller, client_id, contact, check=True),
    )
    login = None
    if new.login is not None and is_new:
        login = NewLogin(new.email, await passwords.hash(new.login.password))
    plan = CreateClient(contact, client, login, contact_is_new and is_new, new.invite and is_new)
    await operations.carry_out(caller, client_id, plan, request)


async def change_client(
    operations: Operations, upstreams: Upstreams, caller: Caller, client_id: UUID, patch: Mapping[str, Any]
) -> None:
    """Change some of a client: name and address in invoice, name, e-mail and language in notification."""
    contact = {name: patch[name] for name in _OF_CONTACT if name in patch}
    client = {name: patch[name] for name in _OF_CLIENT if name in patch}
    checks: list[Awaitable[object]] = [upstreams.change_client(caller, client_id, client, check=True)]
    if contact:
        checks.append(upstreams.change_contact(caller, client_id, contact, check=True))
    await all_accepted(*checks)
    await operations.carry_out(caller, client_id, ChangeClient(contact, client))


async def invite_client(
    db: Database, upstreams: Upstreams, caller: Caller, client_id: UUID, request: IdempotentRequest
) -> InvitationAnswer:
    """Invite a client to the portal, once for a key."""
    await upstreams.client(caller, client_id)
    contact = await upstreams.contact(caller, client_id)
    async with db.tx(caller.clinic, operator=caller.role == "operator") as tx:
        if await request.claim(tx) == "none":
            await invitations.invite(tx, caller, client_id, contact.email)
    return InvitationAnswer(client_id, contact.email)


async def get_client(upstreams: Upstreams, caller: Caller, client_id: UUID) -> ClientAnswer:
    """The client with its contact's e-mail, its status, and language, if there is a contact."""
    client = await upstreams.client(caller, client_id)
    contact = await found_or_none(upstreams.contact(caller, client_id))
    known = msgspec.structs.asdict(client)
    if contact is None:
        return ClientAnswer(**known)
    return ClientAnswer(
        **known, email=contact.email, language=contact.language, email_status=contact.email_status
    )
