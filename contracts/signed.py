"""Texts for addresses that hold a few facts and their signature. Nobody makes one without a key."""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one purpose: in base64url the facts, packed, and the first `kept` bytes of their HMAC-SHA-256.

    The purpose is signed too, so that one key may serve several. Facts and signature together are a multiple of three
    bytes: so each text is of one token.
    """

    purpose: bytes
    facts: struct.Struct
    kept: int

    def token(self, key: bytes, *values: Any) -> str:
        facts = self.facts.pack(*values)
        return base64.urlsafe_b64encode(facts + self._signature(key, facts)).decode()

    def read(self, keys: Sequence[bytes], token: str) -> tuple[Any, ...] | None:
        """The values that one of the keys has signed; None for any other text."""
        raw = self._decoded(token)
        if raw is None:
            return None
        facts, given = raw[: self.facts.size], raw[self.facts.size :]
        fits = [hmac.compare_digest(self._signature(key, facts), given) for key in keys]
        return self.facts.unpack(facts) if any(fits) else None

    def _decoded(self, token: str) -> bytes | None:
        """The bytes of a text that is written just as `token` writes them; None for any other text."""
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii"))
        except (binascii.Error, UnicodeEncodeError):
            return None
        is_ours = len(raw) == self.facts.size + self.kept and base64.urlsafe_b64encode(raw).decode() == token
        return raw if is_ours else None

    def _signature(self, key: bytes, facts: bytes) -> bytes:
        return hmac.new(key, self.purpose + facts, hashlib.sha256).digest()[: self.kept]
