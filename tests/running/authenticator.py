"""A device that makes and uses passkeys, as a browser hands its answers on. Each part of an answer can be wrong."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

HOST, ORIGIN = "portal.test", "http://portal.test"
_PRESENT, _VERIFIED, _WITH_KEY = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """One passkey. `count` goes up with each use; a device that counts none is made with `counts=False`."""

    counts: bool = True
    count: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user: bytes = b""
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def make(
        self, options: dict[str, Any], *, origin: str = ORIGIN, host: str = HOST, verified: bool = True
    ) -> str:
        """The answer to a challenge for a new passkey."""
        self.user = _bytes(options["user"]["id"])
        numbers = self._key.public_key().public_numbers()
        key = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        made = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + cbor2.dumps(key)
        data = self._data(host, verified, _WITH_KEY) + made
        attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = _client("webauthn.create", options["challenge"], origin)
        return self._answer({"clientDataJSON": _text(client), "attestationObject": _text(attested)})

    def use(
        self,
        options: dict[str, Any],
        *,
        origin: str = ORIGIN,
        host: str = HOST,
        verified: bool = True,
        kind: str = "webauthn.get",
        user: bytes | None = None,
    ) -> str:
        """The answer to a challenge to log in."""
        self.count += self.counts
        data = self._data(host, verified)
        client = _client(kind, options["challenge"], origin)
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": _text(client),
                "authenticatorData": _text(data),
                "signature": _text(signature),
                "userHandle": _text(self.user if user is None else user),
            }
        )

    def _data(self, host: str, verified: bool, more: int = 0) -> bytes:
        flags = _PRESENT | (_VERIFIED if verified else 0) | more
        return hashlib.sha256(host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _answer(self, response: dict[str, str]) -> str:
        name = _text(self.credential_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def _client(kind: str, challenge: str, origin: str) -> bytes:
    return json.dumps({"type": kind, "challenge": challenge, "origin": origin}).encode()


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
