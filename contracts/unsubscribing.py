"""The token by which a client ends one kind of e-mail, without a login. Notification makes it, gateway reads it.

It is 80 characters that need no escaping in an address: in base64url, one byte of format, the clinic, the client, one
byte of the kind, and a signature. It holds nothing personal, and works for ever: it gives nothing but silence.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from contracts.vocabulary import ChosenMail

_FORMAT = 1
_FACTS = struct.Struct(">B16s16sB")
_SIGNATURE = 26
"""Bytes of HMAC-SHA-256 that are kept. With them the whole is a multiple of three bytes: each text is of one token."""
_PURPOSE = b"clinicpay unsubscribing\n"
"""Signed too, so that no pay link, which has the same key, is such a token."""
_KINDS: Final[tuple[ChosenMail, ...]] = ("reminder", "invoice_ready")
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
        facts = _FACTS.pack(_FORMAT, choice.clinic_id.bytes, choice.client_id.bytes, number)
        return base64.urlsafe_b64encode(facts + _signature(self.keys[0], facts)).decode()

    def read(self, token: str) -> Choice | None:
        """The choice that one of the keys has signed; None for any other text."""
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii"))
        except (binascii.Error, UnicodeEncodeError):
            return None
        if len(raw) != _FACTS.size + _SIGNATURE or base64.urlsafe_b64encode(raw).decode() != token:
            return None
        facts, given = raw[: _FACTS.size], raw[_FACTS.size :]
        fits = [hmac.compare_digest(_signature(key, facts), given) for key in self.keys]
        version, clinic, client, number = _FACTS.unpack(facts)
        if not any(fits) or version != _FORMAT or number >= len(_KINDS):
            return None
        return Choice(UUID(bytes=clinic), UUID(bytes=client), _KINDS[number])


def path(token: str) -> str:
    """The address of the page below the portal's."""
    return f"/mail/{token}"


def _signature(key: bytes, facts: bytes) -> bytes:
    return hmac.new(key, _PURPOSE + facts, hashlib.sha256).digest()[:_SIGNATURE]
