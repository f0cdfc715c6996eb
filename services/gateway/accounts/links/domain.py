"""Links that are e-mailed: who opens one has read the mailbox. Pure.

A link has a random token. Its hash alone is kept, so that no reader of the database can open the link.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

Purpose = Literal["reset", "invitation", "new_email", "login_code"]
LIFETIMES: dict[Purpose, timedelta] = {
    "reset": timedelta(minutes=30),
    "invitation": timedelta(days=7),
    "new_email": timedelta(days=1),
    "login_code": timedelta(minutes=10),
}
TOKEN = "{token}"  # noqa: S105 - where a letter's path has its token
"""The place of the token in a letter's path."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link that works. `email` is the address to which it was sent; an invitation's has no login yet."""

    id: UUID
    login_id: UUID | None
    email: str
    ends_at: datetime


class LinkEnded(Exception):
    """The link was used, replaced by a newer one, or has ended; or there never was one."""


def new_token() -> str:
    """256 random bits, as an address takes them."""
    return secrets.token_urlsafe(32)


def hash_of(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
