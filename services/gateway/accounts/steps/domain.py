"""How far a browser has come on the way to a session. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

StepKind = Literal["address"]
"""`address`: the browser came from a link to this address, which the login page fills in."""
LASTS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Step:
    """A step that lasts. Its key in the table is the hash of the browser's cookie."""

    id_hash: bytes
    kind: StepKind
    email: str
