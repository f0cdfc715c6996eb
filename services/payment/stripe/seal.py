"""The seal on what we make at Stripe: metadata that names this installation, and a signature over it.

A Stripe account may be shared, by another installation or by the clinic's own use of it. The seal tells our objects
from theirs without a database. It is made once, kept with the row and sent from there: a request that is sent again
under its key must be the very same, whichever key signs by then.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.events.stripe import Origin
from services.chassis.signing import keys_of
from services.payment.stripe.fields import object_of

_SIGNED = frozenset(
    {"installation", "clinic_id", "payment_id", "client_id", "refund_id", "amount", "deposit"}
)
SHARE = "invoice_"
"""Begins each name of metadata that holds an invoice's share of a payment."""
DEPOSIT = "deposit"
"""Holds the amount of a payment before there is an invoice."""


@dataclass(frozen=True, slots=True)
class Seal:
    """This installation's name, and the keys that sign for it: the first signs, all verify."""

    installation: str
    keys: tuple[bytes, ...]

    @classmethod
    def of(cls, installation: str, keys: str) -> "Seal":
        """`keys` as METADATA_KEY has them: several with commas while one is replaced."""
        return cls(installation, keys_of(keys))

    def sign(self, metadata: Mapping[str, Any]) -> str:
        """The signature over metadata that names this installation."""
        return _signature(self.keys[0], metadata)

    def origin(self, metadata: Mapping[str, Any]) -> Origin:
        """Whose an object with this metadata is."""
        named, signature = metadata.get("installation"), metadata.get("signature")
        if named is None:
            return "unsigned"
        if named != self.installation:
            return "other_installation"
        given = signature.encode() if isinstance(signature, str) else b""
        fits = [hmac.compare_digest(_signature(key, metadata).encode(), given) for key in self.keys]
        return "ours" if any(fits) else "forged"


def is_on(body: Mapping[str, Any], ours: Mapping[str, str]) -> bool:
    """Whether an object of Stripe's carries all of this metadata, its trace apart."""
    carried = object_of(body.get("metadata"))
    return all(carried.get(name) == value for name, value in ours.items() if name != "traceparent")


def completed(metadata: Mapping[str, str], signature: str | None, traceparent: str | None) -> dict[str, str]:
    """The metadata of an object, with its signature and its trace where they are known."""
    rest = {"signature": signature, "traceparent": traceparent}
    return {**metadata, **{name: value for name, value in rest.items() if value is not None}}


def _signature(key: bytes, metadata: Mapping[str, Any]) -> str:
    """HMAC-SHA256 over our own names, sorted, as JSON. Names that somebody added are not looked at."""
    signed = sorted(
        (name, value) for name, value in metadata.items() if name in _SIGNED or name.startswith(SHARE)
    )
    canonical = json.dumps(signed, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()
