"""Letters: e-mails about a login, to an address that the gateway names. Bodies of the notification service."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from contracts.http.common import Answer, Request

LetterTemplate = Literal[
    "password_reset",
    "password_changed",
    "invitation",
    "membership_waits",
    "membership_locked",
    "new_email",
    "email_changed",
    "second_factor_on",
    "second_factor_off",
    "recovery_code_used",
    "recovery_codes_renewed",
    "wrong_codes",
    "login_code",
    "passkey_added",
    "passkey_removed",
]

# `$` alone would let a newline stand at the end.
PortalPath = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^(/[!-~]*)?$(?!\n)")]
LetterCode = Annotated[str, msgspec.Meta(max_length=20, pattern=r"^[a-z0-9-]+$(?!\n)")]


class LetterIn(Request, frozen=True, kw_only=True):
    """A letter. `path` is where its button leads in the portal; `ends_at` is when that works no more.

    `code` is one to type in its place, which `login_code` has.
    """

    template: LetterTemplate
    email: str
    path: PortalPath = ""
    ends_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    code: LetterCode | None = None


class LetterOut(Answer, frozen=True, kw_only=True):
    """A letter that is kept. Its address and its link are shown to nobody."""

    id: UUID
