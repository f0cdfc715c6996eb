"""The token of a pay link: it opens one invoice, without a login. Notification and gateway make it, gateway reads it.

It is 84 characters that need no escaping in an address: in base64url, one byte of format, the clinic, the invoice,
four bytes of generation, two of the last day (counted from 1970), and a signature. It holds nothing personal.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

DAYS = 180
"""How long a link works from the day on which it is made, or on which its invoice is due if that is later."""
MOST_DAYS = 3650

_FORMAT = 1
_FACTS = struct.Struct(">B16s16sIH")
_SIGNATURE = 24
"""Bytes of HMAC-SHA-256 that are kept. With them the whole is a multiple of three bytes: each text is of one token."""
_PURPOSE = b"clinicpay pay link\n"
"""Signed too, so that a key which signs something else by mistake makes no links."""
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class PayLink:
    """The facts that a token names. It is honored while the invoice has this generation, to the end of the last day.

    Days are those of the clinic's clock.
    """

    clinic_id: UUID
    invoice_id: UUID
    generation: int
    expires_on: date


@dataclass(frozen=True, slots=True)
class PayLinks:
    """Makes tokens and reads them: the first key signs, all verify. `days` is in place of `DAYS`."""

    keys: tuple[bytes, ...]
    days: int = DAYS

    def new(self, clinic_id: UUID, invoice_id: UUID, generation: int, today: date, due_on: date) -> PayLink:
        """A link for an invoice that is due on `due_on`: it works after that day too, whenever it was made."""
        last_day = max(today, due_on) + timedelta(days=self.days)
        return PayLink(clinic_id, invoice_id, generation, last_day)

    def token(self, link: PayLink) -> str:
        facts = _FACTS.pack(
            _FORMAT,
            link.clinic_id.bytes,
            link.invoice_id.bytes,
            link.generation,
            (link.expires_on - _EPOCH).days,
        )
        return base64.urlsafe_b64encode(facts + _signature(self.keys[0], facts)).decode()

    def read(self, token: str) -> PayLink | None:
        """The link that one of the keys has signed, expired or not; None for any other text."""
        raw = _decoded(token)
        if raw is None:
            return None
        facts, given = raw[: _FACTS.size], raw[_FACTS.size :]
        fits = [hmac.compare_digest(_signature(key, facts), given) for key in self.keys]
        if not any(fits):
            return None
        version, clinic, invoice, generation, day = _FACTS.unpack(facts)
        if version != _FORMAT:
            return None
        return PayLink(UUID(bytes=clinic), UUID(bytes=invoice), generation, _EPOCH + timedelta(days=day))


def path(token: str) -> str:
    """The address of a link below the portal's."""
    return f"/pay/{token}"


def _decoded(token: str) -> bytes | None:
    """The bytes of a text that is written just as `token` writes them; None for any other text."""
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii"))
    except (binascii.Error, UnicodeEncodeError):
        return None
    is_ours = len(raw) == _FACTS.size + _SIGNATURE and base64.urlsafe_b64encode(raw).decode() == token
    return raw if is_ours else None


def _signature(key: bytes, facts: bytes) -> bytes:
    return hmac.new(key, _PURPOSE + facts, hashlib.sha256).digest()[:_SIGNATURE]
