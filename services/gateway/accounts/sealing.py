"""Secrets that must be read again, encrypted with a key from the settings, and short ones that must not be guessed from
their hash. The database alone reveals none."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from litestar.di import NamedDependency

from services.chassis.errors import DomainError
from services.gateway.accounts.typed_codes import bare, new_code

_CODE_GROUPS, _LONGEST_CODE = 2, 64
_CODE_PURPOSE = b"clinicpay codes by e-mail"


class SealBroken(DomainError):
    """A secret that none of the keys in the settings opens, or that belongs to another login."""

    code = "seal_broken"
    status = 503


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted secret, and the mark of the key that did it."""

    secret: bytes
    by: bytes


class Sealer:
    """Encrypts with the first of several keys, decrypts with all. A secret is bound to its login."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        purpose = b"clinicpay second factors"
        self._fernet = fernet_of(keys, purpose)
        self.mark = hashlib.sha256(_derived(keys[0], purpose)).digest()[:8]
        """Of the key that encrypts."""

    def seal(self, login_id: UUID, secret: str) -> Sealed:
        return Sealed(self._fernet.encrypt(login_id.bytes + secret.encode()), self.mark)

    def open(self, login_id: UUID, sealed: bytes) -> str:
        """The secret. Raises `SealBroken`."""
        try:
            opened = self._fernet.decrypt(sealed)
        except InvalidToken:
            raise SealBroken(
                "Codes of the app cannot be checked at the moment. Use a recovery code."
            ) from None
        if opened[:16] != login_id.bytes:
            raise SealBroken("Codes of the app cannot be checked at the moment. Use a recovery code.")
        return opened[16:].decode()


InjectedSealer = NamedDependency[Sealer]


class MailedCodes:
    """Codes that may be typed in place of a link's token, hashed with keys from the settings: new ones with the first.

    A code of 39 random bits could be found from a hash without a key, by who reads the database.
    """

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = [_derived(key, _CODE_PURPOSE) for key in keys]

    def new(self) -> tuple[str, bytes]:
        """A code, and its hash."""
        code = new_code(_CODE_GROUPS)
        return code, self.hashes(code)[0]

    def hashes(self, typed: str) -> list[bytes]:
        """The hashes that a typed code may be kept under."""
        code = bare(typed[:_LONGEST_CODE])
        return [hmac.new(key, code, hashlib.sha256).digest() for key in self._keys]


InjectedMailedCodes = NamedDependency[MailedCodes]


def fernet_of(keys: tuple[bytes, ...], purpose: bytes) -> MultiFernet:
    """Encryption for one purpose alone: with the first of several keys. All of them decrypt."""
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key, purpose))) for key in keys])


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, purpose, hashlib.sha256).digest()
