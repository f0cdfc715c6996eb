"""Who may use the console. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

INVITATION_LASTS = timedelta(hours=24)
IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Operator:
    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Known:
    """An operator with what proves it. The last three are None until the invitation is taken."""

    id: UUID
    name: str
    created_at: datetime
    password_hash: str | None
    sealed: bytes | None
    used_step: int | None
    is_invited: bool

    @property
    def operator(self) -> Operator:
        return Operator(self.id, self.name)


@dataclass(frozen=True, slots=True)
class Act:
    """A deed of an operator, and why. `outcome` is empty while it is done, or where it ended with its process."""

    at: datetime
    operator: str
    action: str
    service: str
    subject: str
    reason: str
    outcome: str
