"""Who is signed in, and for which clinic: what the portal's routes ask for by parameter name."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Role = Literal["client", "staff"]


@dataclass(frozen=True, slots=True)
class Membership:
    """A login's place at one clinic. `client_id` is None for staff."""

    clinic_id: UUID
    client_id: UUID | None
    slug: str
    role: Role


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The login behind the session."""

    login_id: UUID
    email: str
    memberships: tuple[Membership, ...]
