"""The token by which a client ends one kind of e-mail, without a login. Notification makes it, gateway reads it.

It is 80 characters that need no escaping in an address: in base64url, one byte of format, the clinic, the client, one
byte of the kind, and a signature. It holds nothing personal, and works for ever: it gives nothing but silence.
"""

import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from contracts.signed import Tokens
from contracts.vocabulary import ChosenMail

_FORMAT = 1
_TOKENS = Tokens(b"clinicpay unsubscribing\n", struct.Struct(">B16s16sB"), 26)
"""Of a purpose of their own: pay links have the same key."""
_KINDS: Final[tuple[ChosenMail, ...]] = ("reminder", "invoice_ready", "method_expiring")
"""By the number in a token, so their order stays."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The client, and the kind of e-mail that is to end."""

    clinic_id: UUID
    client_id: UUID
    kind: ChosenMail


@dataclass(frozen=True, slots=True)
class Unsubscribing:
    """Makes tokens and reads them: the first key signs, all verify."""

    keys: tuple[bytes, ...]

    def token(self, choice: Choice) -> str:
        number = _KINDS.index(choice.kind)
        return _TOKENS.token(self.keys[0], _FORMAT, choice.clinic_id.bytes, choice.client_id.bytes, number)

    def read(self, token: str) -> Choice | None:
        """The choice that one of the keys has signed; None for any other text."""
        found = _TOKENS.read(self.keys, token)
        if found is None:
            return None
        version, clinic, client, number = found
        if version != _FORMAT or number >= len(_KINDS):
            return None
        return Choice(UUID(bytes=clinic), UUID(bytes=client), _KINDS[number])


def path(token: str) -> str:
    """The address of the page below the portal's."""
    return f"/mail/{token}"
