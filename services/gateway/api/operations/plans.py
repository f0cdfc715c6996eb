"""Plans of requests that write to several services: their calls, the gateway's own part, and the undoing.

Calls are made in order and may be repeated. The answer to the last call decides: after it, only the gateway's own
part is left, which is written in the transaction that ends the operation. `undo` gets the number of calls that may
have been made.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self, TypeAlias
from uuid import UUID

import msgspec

from contracts.http.clients import ClientIn
from contracts.http.clinics import ClinicIn
from contracts.http.contacts import ContactIn
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.gateway.accounts import actions
from services.gateway.accounts.invitations import actions as invitations
from services.gateway.upstream.calls import found_or_none
from services.gateway.upstream.services import Upstreams

Step: TypeAlias = Callable[[], Awaitable[object]]


class NewLogin(msgspec.Struct, frozen=True):
    email: str
    password_hash: str


class CreateClinic(msgspec.Struct, frozen=True, tag=True):
    """A clinic in invoice, and its portal's address here."""

    settings: ClinicIn

    @property
    def new_slug(self) -> str | None:
        return self.settings.slug

    async def ready(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> Self:
        return self

    def steps(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> Sequence[Step]:
        return [partial(upstreams.create_clinic, caller, subject_id, self.settings)]

    async def finish(self, tx: Connection, caller: Caller, subject_id: UUID) -> None:
        await actions.put_portal(tx, caller, self.settings.slug)

    async def is_decided(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> bool:
        return await found_or_none(upstreams.clinic(caller, fresh=True)) is not None

    async def undo(self, upstreams: Upstreams, caller: Caller, subject_id: UUID, done: int) -> None:
        """Nothing to undo: its only call was refused."""


class ChangeClinic(msgspec.Struct, frozen=True, tag=True):
    """Settings with the portal's slug: in invoice, and the slug here. PUT has all settings, PATCH some."""

    method: Literal["PUT", "PATCH"]
    settings: dict[str, Any]

    @property
    def new_slug(self) -> str | None:
        return str(self.settings["slug"])

    async def ready(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> Self:
        return self

    def steps(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> Sequence[Step]:
        return [partial(upstreams.change_clinic, caller, self.method, self.settings)]

    async def finish(self, tx: Connection, caller: Caller, subject_id: UUID) -> None:
        await actions.put_portal(tx, caller, str(self.new_slug))

    async def is_decided(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> bool:
        return (await upstreams.clinic(caller, fresh=True)).slug == self.new_slug

    async def undo(self, upstreams: Upstreams, caller: Caller, subject_id: UUID, done: int) -> None:
        """Nothing to undo: its only call was refused."""


class CreateClient(msgspec.Struct, frozen=True, tag=True):
    """A contact in notification, the client in invoice, and a login or an invitation here.

    The contact comes first, since e-mails wait for it. `contact_is_new`: there was none before.
    """

    contact: ContactIn
    client: ClientIn
    login: NewLogin | None
    contact_is_new: bool
    invite: bool = False
    new_slug: ClassVar[None] = None

    async def ready(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> Self:
        return self

    def steps(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> Sequence[Step]:
        return [
            partial(upstreams.create_contact, caller, subject_id, self.contact),
            partial(upstreams.create_client, caller, subject_id, self.client),
        ]

    async def finish(self, tx: Connection, caller: Caller, subject_id: UUID) -> None:
        if self.login is not None:
            await actions.put_login(
                tx,
                email=self.login.email,
                password_hash=self.login.password_hash,
                caller=caller,
                client_id=subject_id,
                role="client",
            )
        if self.invite:
            await invitations.invite(tx, caller, subject_id, self.contact.email)

    async def is_decided(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> bool:
        return await found_or_none(upstreams.client(caller, subject_id)) is not None

    async def undo(self, upstreams: Upstreams, caller: Caller, subject_id: UUID, done: int) -> None:
        if self.contact_is_new and done > 0:
            await found_or_none(upstreams.delete_contact(caller, subject_id))


class Before(msgspec.Struct, frozen=True):
    """The changed members' values before the change."""

    contact: dict[str, Any]
    client: dict[str, Any]


class ChangeClient(msgspec.Struct, frozen=True, tag=True):
    """Members of the contact and of the client, as merge patches."""

    contact: dict[str, Any]
    client: dict[str, Any]
    before: Before | None = None
    new_slug: ClassVar[None] = None

    async def ready(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> "ChangeClient":
        """The plan with the members' current values. No other request changes them during this operation."""
        if self.before is not None:
            return self
        contact, client = {}, {}
        if self.contact:
            contact = _members(await upstreams.contact(caller, subject_id), self.contact)
        if self.client:
            client = _members(await upstreams.client(caller, subject_id), self.client)
        return msgspec.structs.replace(self, before=Before(contact, client))

    def steps(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> Sequence[Step]:
        return _patches(upstreams, caller, subject_id, self.contact, self.client)

    async def finish(self, tx: Connection, caller: Caller, subject_id: UUID) -> None:
        """An invitation that went to an address which the client has no more ends."""
        if "email" in self.contact:
            await invitations.end(tx, caller.clinic, subject_id)

    async def is_decided(self, upstreams: Upstreams, caller: Caller, subject_id: UUID) -> bool:
        return False

    async def undo(self, upstreams: Upstreams, caller: Caller, subject_id: UUID, done: int) -> None:
        if self.before is None:
            return
        patches = _patches(upstreams, caller, subject_id, self.before.contact, self.before.client)
        for step in patches[:done]:
            await found_or_none(step())


Plan: TypeAlias = CreateClinic | ChangeClinic | CreateClient | ChangeClient


class Operation(msgspec.Struct, frozen=True):
    """`age` is in seconds; `key` is None for a request without an idempotency key."""

    id: UUID
    caller: Caller
    subject_id: UUID
    plan: Plan
    key: str | None = None
    undoing: bool = False
    tries: int = 1
    age: float = 0.0


def _patches(
    upstreams: Upstreams,
    caller: Caller,
    subject_id: UUID,
    contact: Mapping[str, Any],
    client: Mapping[str, Any],
) -> Sequence[Step]:
    steps: list[Step] = []
    if contact:
        steps.append(partial(upstreams.change_contact, caller, subject_id, contact))
    if client:
        steps.append(partial(upstreams.change_client, caller, subject_id, client))
    return steps


def _members(current: msgspec.Struct, patch: Mapping[str, Any]) -> dict[str, Any]:
    """The current values of the patch's members, as the patch that restores them."""
    known: dict[str, Any] = msgspec.to_builtins(current)
    return {name: known[name] for name in patch}
