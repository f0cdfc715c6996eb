"""Browsers that have opened a login before: their tries at its password are counted apart from everybody else's. Pure.

Otherwise strangers who try passwords would lock the login's owner out. To be known opens nothing: it is worth a few
tries of its own.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.gateway.accounts.steps.domain import Step

LASTS = timedelta(days=180)
"""How long a browser is known, counted from its last login."""
MOST = 5
"""Logins of one browser that are remembered. The one that was opened last comes first."""
_NUMBER = 4


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that opened the login while it had this generation."""

    login_id: UUID
    generation: int
    id: UUID

    @property
    def packed(self) -> bytes:
        """It in 36 bytes."""
        return self.login_id.bytes + self.generation.to_bytes(_NUMBER) + self.id.bytes

    @classmethod
    def unpacked(cls, facts: bytes) -> "Device":
        login_id, generation, device_id = facts[:16], facts[16 : 16 + _NUMBER], facts[16 + _NUMBER :]
        return cls(UUID(bytes=login_id), int.from_bytes(generation), UUID(bytes=device_id))


@dataclass(frozen=True, slots=True)
class Browser:
    """Who tries a password: the address, and what the browser shows of an earlier success."""

    address: str
    devices: tuple[Device, ...] = ()
    step: Step | None = None

    def name_at(self, login_id: UUID, generation: int, email: str) -> str | None:
        """The name under which its tries at the login are counted; None for a browser that the login does not know.

        Known is also who has just shown a link to the login's mailbox (`steps`), such as one to choose a new password;
        not who has only asked for a code there.
        """
        for device in self.devices:
            if (device.login_id, device.generation) == (login_id, generation):
                return str(device.id)
        step = self.step
        return step.id_hash.hex() if step and step.kind != "code" and step.email == email else None
