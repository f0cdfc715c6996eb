"""Passwords: argon2id, hashed in threads, a few at a time."""

import asyncio
import unicodedata
from functools import cache, partial

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from litestar.di import NamedDependency

from services.chassis import emails, texts

SHORTEST, LONGEST = 10, 256
"""In characters. Longer ones are refused without hashing, since hashing them would cost too much."""

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's first choice for argon2id: 19 MiB, two passes, some 30 ms."""


@cache
def _nobody() -> str:
    """Checked when an e-mail has no login: the answer takes as long as for a wrong password."""
    return _hasher.hash("no login has this password")


class Passwords:
    """Hashes and checks passwords; `at_once` bounds the memory and the cores that logins can take."""

    def __init__(self, at_once: int = 2) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._nobody = _nobody()
        self.checks = 0
        """How many passwords were checked, also for e-mails without a login."""

    async def hash(self, password: str) -> str:
        async with self._free:
            return await asyncio.to_thread(_hasher.hash, _normal(password))

    async def check(self, password_hash: str | None, password: str) -> bool:
        """Whether the password matches the hash. For None the same work is done, and the answer is False."""
        self.checks += 1
        async with self._free:
            fits = await asyncio.to_thread(partial(_fits, password_hash or self._nobody, password))
        return fits and password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        """Whether it was hashed with parameters that are no longer used."""
        return _hasher.check_needs_rehash(password_hash)


InjectedPasswords = NamedDependency[Passwords]


def fault_of(password: str, shortest: int = SHORTEST) -> str:
    """Why it cannot be somebody's new password, in words for a page; empty if it can."""
    if len(password) < shortest:
        return f"This is too short. Use at least {shortest} characters."
    if not shows_enough(password):
        return "This shows nothing but spaces. Use letters, digits or signs."
    if len(password) > LONGEST:
        return f"This is too long. Use at most {LONGEST} characters."
    return ""


def shows_enough(password: str) -> bool:
    """Whether there is more to the password than spaces and characters that nobody sees."""
    return bool(password.strip()) and texts.shows(password)


def normal_email(email: str) -> str:
    """The address as it is stored and compared: NFKC, lower case, without surrounding spaces, its domain in ASCII.

    So one written with umlauts is the same as with `xn--`. A text that is no address is left as it is otherwise.
    """
    text = unicodedata.normalize("NFKC", email).strip().lower()
    return emails.usable(text) or text


def _normal(password: str) -> str:
    """The same text for the same password, whichever keyboard it was typed on."""
    return unicodedata.normalize("NFKC", password)


def _fits(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, _normal(password[:LONGEST]))
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
