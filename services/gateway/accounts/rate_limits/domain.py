"""Limits on tries within a quarter of an hour, and on letters within an hour.

A password may be tried five times for one e-mail from one address, fifty times for one e-mail from anywhere (with only
five, a stranger could lock somebody out), and a hundred times from one address. A login that succeeds is not counted.
A browser that the login knows has five tries of its own, whatever others have tried (`devices`); so has who is logged
in and types the present password.
A link to choose a new password, or a code by e-mail, may be asked for twenty times from one address. Letters with such
a one to one e-mail address are counted by who asks, three an hour, so that nobody uses up another's; and all together,
so that many who ask flood no mailbox. A browser that the login knows has letters with a code of its own. Such a code
may be tried five times in the browser that asked for it. A code of the second factor may be tried five times for one
login: to come so far takes its first factor.
An operator of the console has the limits of a login.
A client may add a card twenty times: more would be a way to try out stolen cards.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

WINDOW = timedelta(minutes=15)
LETTERS_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Limit:
    key: bytes
    most: int


class TooManyTries(Exception):
    """Wait for `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many tries")
        self.retry_after = retry_after


def words_of(refusal: TooManyTries) -> str:
    minutes = max(1, -(-refusal.retry_after // 60))
    wait = "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"Too many tries. Please wait {wait}, then try again."


def login_limits(email: str, address: str) -> tuple[Limit, ...]:
    return (
        Limit(_key("login", "email and address", email, address), 5),
        Limit(_key("login", "email", email), 50),
        Limit(_key("login", "address", address), 100),
    )


def operator_limits(name: str, address: str) -> tuple[Limit, ...]:
    """Of an operator's name, password and code, which are typed together."""
    return (
        Limit(_key("operator", "name and address", name, address), 5),
        Limit(_key("operator", "name", name), 50),
        Limit(_key("operator", "address", address), 100),
    )


def known_limits(name: str) -> tuple[Limit, ...]:
    """Of a browser that the login knows."""
    return (Limit(_key("login", "known browser", name), 5),)


def present_limits(login_id: UUID) -> tuple[Limit, ...]:
    """Of the present password, typed by who is logged in."""
    return (Limit(_key("present password", str(login_id)), 5),)


def reset_limits(address: str) -> tuple[Limit, ...]:
    return (Limit(_key("reset", "address", address), 20),)


def mailed_code_limits(step_hash: bytes, address: str) -> tuple[Limit, ...]:
    """Of a code by e-mail: of the browser that asked for it, then of the address, with its tries at passwords."""
    return (
        Limit(_key("mailed code", step_hash.hex()), 5),
        Limit(_key("login", "address", address), 100),
    )


def passkey_limits(address: str) -> tuple[Limit, ...]:
    """Of challenges for passkeys."""
    return (Limit(_key("passkey", "address", address), 100),)


def code_limits(login_id: UUID) -> tuple[Limit, ...]:
    return (Limit(_key("second factor", str(login_id)), 5),)


def code_gift(login_id: UUID) -> Limit:
    """How often in `LETTERS_WINDOW` a new password by a link gives the tries of codes back.

    Who reads the mailbox can take link after link, and is not to guess codes without end.
    """
    return Limit(_key("second factor", "given back", str(login_id)), 1)


def asker_of(email: str, address: str) -> bytes:
    """Who asks for a new password: under this key letters to the e-mail are counted."""
    return _key("letter", "reset", email, address)


def reset_letter_limits(email: str, asker: bytes) -> tuple[Limit, ...]:
    """Of letters in `LETTERS_WINDOW`, as the four below: of one who asks, then of the mailbox."""
    return (Limit(asker, 3), Limit(_key("letter", "reset", email), 6))


def code_letter_limits(email: str, asker: bytes) -> tuple[Limit, ...]:
    """Of letters with a code: of one who asks, then of the mailbox."""
    return (
        Limit(_key("letter", "login_code", asker.hex()), 3),
        Limit(_key("letter", "login_code", email), 6),
    )


def known_code_limits(name: str) -> tuple[Limit, ...]:
    """Of letters with a code that a browser asks for which the login knows."""
    return (Limit(_key("letter", "login_code", "known browser", name), 5),)


def invitation_limits(clinic_id: UUID, client_id: UUID, email: str) -> tuple[Limit, ...]:
    """Of one client, then of the clinic. No clinic counts for another."""
    clinic = ("letter", "invitation", str(clinic_id), email)
    return (Limit(_key(*clinic, str(client_id)), 3), Limit(_key(*clinic), 10))


def new_email_limits(login_id: UUID, email: str) -> tuple[Limit, ...]:
    """Of one login, then of the mailbox."""
    return (
        Limit(_key("letter", "new_email", email, str(login_id)), 3),
        Limit(_key("letter", "new_email", email), 10),
    )


def setup_limits(clinic_id: UUID, client_id: UUID) -> tuple[Limit, ...]:
    return (Limit(_key("setup", str(clinic_id), str(client_id)), 20),)


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\x1f".join(parts).encode()).digest()
