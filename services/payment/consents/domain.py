"""The consents of clients. No I/O."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Agreed:
    """The text that a client agreed to, and when."""

    version: str
    locale: str
    text: str
    agreed_at: datetime
