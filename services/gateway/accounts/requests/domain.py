"""Requests for a letter, as strangers make them, too: what was typed, until a job looks for the login. Pure."""

from dataclasses import dataclass
from urllib.parse import quote

from services.gateway.accounts.devices.domain import Device
from services.gateway.accounts.domain import Membership, slug_of
from services.gateway.accounts.passwords import normal_email

_LONGEST_TARGET = 200


@dataclass(frozen=True, slots=True)
class MailRequest:
    """A request for a link to choose a password; with a step, for a code to log in with.

    email       as a person typed it
    target      the page that the login was to lead to
    asker       who asks, as letters are counted; None from an earlier release
    step_hash   the step of the browser that asked for a code
    devices     the logins that know this browser
    """

    email: str
    target: str
    asker: bytes | None
    step_hash: bytes | None = None
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True)
class EmailForm:
    """The form that asks for a letter. `next` is the page that led here."""

    email: str = ""
    next: str = ""
    _csrf_token: str = ""


def fault_of(email: str) -> str:
    """The words about a typed address that no login has; empty for any other."""
    name, _, domain = email.strip().rpartition("@")
    return (
        "" if name and domain else "Type the e-mail address with which you log in, such as ann@example.com."
    )


def as_typed(email: str) -> str:
    """The address, or any other text that was typed in its place, as it is compared and kept."""
    return "".join(character for character in normal_email(email) if character.isprintable())[:254]


def query_of(target: str, place: Membership) -> str:
    """The query that leads on from a mailed page: to the page that was asked for, if it is of this clinic."""
    if slug_of(target) is None:
        return ""
    same = slug_of(target) == place.slug and len(target) <= _LONGEST_TARGET
    return f"?next={quote(target if same else f'/c/{place.slug}', safe='/')}"
