"""How far a browser has come on the way to a session. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

StepKind = Literal["address", "second", "code", "passkey"]
"""The browser has shown a link to its address, which the login page fills in; or a login's first factor; or nothing
yet, and has asked for a code to an address, or for a challenge to log in with a passkey."""
LASTS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Step:
    """A step that lasts. Its key in the table is the hash of the browser's cookie."""

    id_hash: bytes
    kind: StepKind
    email: str
    login_id: UUID | None = None
    challenge: bytes | None = None
