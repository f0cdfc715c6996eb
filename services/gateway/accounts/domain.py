"""Who is signed in, and for which clinic: what the portal's routes ask for by parameter name."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

_PORTAL = re.compile(r"/c/([a-z0-9-]+)")

Role = Literal["client", "staff"]


@dataclass(frozen=True, slots=True)
class Membership:
    """A login's place at one clinic. `client_id` is None for staff. Until it is accepted, it opens nothing.

    `opened_at` is when the login last turned to it from another place; None where there was no other.
    """

    clinic_id: UUID
    client_id: UUID | None
    slug: str
    role: Role
    accepted: bool = True
    opened_at: datetime | None = None

    @property
    def name(self) -> str:
        """Which of the login's places at the clinic it is."""
        return str(self.client_id) if self.client_id else "staff"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The login behind the session. `invitations` are memberships that wait for its answer."""

    login_id: UUID
    email: str
    memberships: tuple[Membership, ...]
    invitations: tuple[Membership, ...] = ()

    def has_several_at(self, clinic_id: UUID) -> bool:
        """Whether it opens several clients of the clinic, or a client and the staff's pages."""
        return sum(each.clinic_id == clinic_id for each in self.memberships) > 1

    @property
    def last(self) -> Membership | None:
        """The membership that was opened last; None where none was remembered."""
        opened = [(each.opened_at, each) for each in self.memberships if each.opened_at is not None]
        return max(opened, key=lambda dated: dated[0])[1] if opened else None


@dataclass(frozen=True, slots=True)
class LoginSession:
    """The session that a request came with: its key in the table, and whose it is."""

    id_hash: bytes
    login_id: UUID


@dataclass(frozen=True, slots=True)
class Session:
    """A session that lasts; `used_at` is right to a minute. `device` in words, if its browser said anything known."""

    id_hash: bytes
    device: str
    begun_at: datetime
    used_at: datetime


class NotSignedIn(Exception):
    """Nobody is signed in. Pages lead to the login; every other request gets 401. `why` as the login page knows it."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why


class PortalMoved(Exception):
    """The address is of a portal that has another slug now."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new


class InvitationWaits(Exception):
    """The address may belong to a membership that the login has not accepted yet."""


def safe_next(target: str | None) -> str:
    """Where to go after signing in: a path of this site as it was asked for, or `/`.

    Browsers read `//host`, `/\\host` and tabs or newlines in between as another site's address.
    """
    if not target or len(target) > 500 or not target.startswith("/") or target.startswith("//"):
        return "/"
    if "\\" in target or any(character <= " " or character == "\x7f" for character in target):
        return "/"
    return target


def slug_of(target: str) -> str | None:
    """The slug of the portal in which an address of ours is; None for any other address."""
    portal = _PORTAL.match(target)
    return portal[1] if portal else None
