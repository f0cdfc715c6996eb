"""The token of a pay link: it opens one invoice, without a login. Notification and gateway make it, gateway reads it.

It is 84 characters that need no escaping in an address: in base64url, one byte of format, the clinic, the invoice,
four bytes of generation, two of the last day (counted from 1970), and a signature. It holds nothing personal.
"""

import struct
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from contracts.signed import Tokens

DAYS = 180
"""How long a link works from the day on which it is made, or on which its invoice is due if that is later."""
MOST_DAYS = 3650

_FORMAT = 1
_TOKENS = Tokens(b"clinicpay pay link\n", struct.Struct(">B16s16sIH"), 24)
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
        return _TOKENS.token(
            self.keys[0],
            _FORMAT,
            link.clinic_id.bytes,
            link.invoice_id.bytes,
            link.generation,
            (link.expires_on - _EPOCH).days,
        )

    def read(self, token: str) -> PayLink | None:
        """The link that one of the keys has signed, expired or not; None for any other text."""
        found = _TOKENS.read(self.keys, token)
        if found is None:
            return None
        version, clinic, invoice, generation, day = found
        if version != _FORMAT:
            return None
        return PayLink(UUID(bytes=clinic), UUID(bytes=invoice), generation, _EPOCH + timedelta(days=day))


def path(token: str) -> str:
    """The address of a link below the portal's."""
    return f"/pay/{token}"
