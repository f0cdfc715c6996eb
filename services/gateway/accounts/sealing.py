"""Secrets that must be read again, encrypted with a key from the settings. The database alone reveals none."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from litestar.di import NamedDependency

from services.chassis.errors import DomainError


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


def fernet_of(keys: tuple[bytes, ...], purpose: bytes) -> MultiFernet:
    """Encryption for one purpose alone: with the first of several keys. All of them decrypt."""
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key, purpose))) for key in keys])


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, purpose, hashlib.sha256).digest()
