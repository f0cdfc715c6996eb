"""A login's sessions and passkeys as the profile page shows them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from contracts.vocabulary import CHOSEN_MAIL, ChosenMail
from services.chassis.locale.formats import Formats, Regional
from services.gateway.accounts.domain import Session
from services.gateway.accounts.passkeys.domain import Passkey


@dataclass(frozen=True, slots=True)
class MailRow:
    """A kind of e-mail that the client may choose."""

    kind: ChosenMail
    name: str
    wanted: bool


def mail_rows(unwanted: Iterable[str]) -> list[MailRow]:
    without = set(unwanted)
    return [MailRow(kind, name, kind not in without) for kind, name in CHOSEN_MAIL.items()]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session in words; `is_here` is the one that shows the page.

    name    its device
    handle  names the session in a form, and opens nothing
    """

    name: str
    handle: str
    begun: str
    used: str
    is_here: bool


def session_rows(found: Iterable[Session], here: bytes, regional: Regional) -> list[SessionRow]:
    """The sessions, this one first, with times as the clinic's locale and clock write them."""
    write = Formats.of(regional)
    return [
        SessionRow(
            each.device or "Another device or browser",
            each.id_hash.hex(),
            write.moment(each.begun_at),
            write.moment(each.used_at),
            each.id_hash == here,
        )
        for each in sorted(found, key=lambda each: each.id_hash != here)
    ]


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    """A passkey in words; `used` is empty for one that was never used."""

    id: UUID
    name: str
    added: str
    used: str


def passkey_rows(found: Iterable[Passkey], regional: Regional) -> list[PasskeyRow]:
    write = Formats.of(regional)
    return [
        PasskeyRow(
            each.id,
            each.name,
            write.moment(each.created_at),
            write.moment(each.used_at) if each.used_at else "",
        )
        for each in found
    ]
