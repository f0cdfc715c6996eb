"""The seal on what we make at Stripe: metadata that names this installation, and a signature over it.

A Stripe account may be shared, by another installation or by the clinic's own use of it. The seal tells our objects
from theirs without a database. It is made once, kept with the row and sent from there: a request that is sent again
under its key must be the very same, whichever key signs by then.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from contracts.stripe import Origin
from services.payment.payments.domain import Payment
from services.payment.refunds.domain import Refund
from services.payment.stripe.json import object_of

_SIGNED = frozenset({"installation", "clinic_id", "payment_id", "client_id", "refund_id", "amount"})
_SHARE = "invoice_"


@dataclass(frozen=True, slots=True)
class Seal:
    """This installation's name, and the keys that sign for it: the first signs, all verify."""

    installation: str
    keys: tuple[bytes, ...]

    @classmethod
    def of(cls, installation: str, keys: str) -> "Seal":
        """`keys` as METADATA_KEY has them: several with commas while one is replaced."""
        parts = (part.strip() for part in keys.split(","))
        return cls(installation, tuple(part.encode() for part in parts if part))

    def on_payment(self, payment: Payment) -> Payment:
        """The payment with the seal that its intent will carry."""
        named = replace(payment, installation=self.installation)
        return replace(named, signature=_signature(self.keys[0], of_payment(named)))

    def on_refund(self, refund: Refund) -> Refund:
        named = replace(refund, installation=self.installation)
        return replace(named, signature=_signature(self.keys[0], of_refund(named)))

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


def of_payment(payment: Payment) -> dict[str, str]:
    """The metadata of a payment's intent. A payment of an earlier release goes out as it would have: without a seal."""
    metadata = {"clinic_id": str(payment.clinic_id), "payment_id": str(payment.id)}
    if payment.installation is not None:
        metadata |= {"installation": payment.installation, "client_id": str(payment.client_id)}
        metadata |= {
            f"{_SHARE}{at}": f"{share.payable_id} {share.amount} {payment.currency}"
            for at, share in enumerate(payment.allocations, start=1)
        }
    return metadata | _rest(payment.signature, payment.traceparent)


def of_refund(refund: Refund) -> dict[str, str]:
    """The metadata of a refund; one of an earlier release has no seal."""
    metadata = {
        "clinic_id": str(refund.clinic_id),
        "payment_id": str(refund.payment_id),
        "refund_id": str(refund.id),
    }
    if refund.installation is not None:
        metadata |= {"installation": refund.installation, "amount": f"{refund.amount} {refund.currency}"}
    return metadata | _rest(refund.signature, refund.traceparent)


def is_on(body: Mapping[str, Any], ours: Mapping[str, str]) -> bool:
    """Whether an object of Stripe's carries all of this metadata, its trace apart."""
    carried = object_of(body.get("metadata"))
    return all(carried.get(name) == value for name, value in ours.items() if name != "traceparent")


def _rest(signature: str | None, traceparent: str | None) -> dict[str, str]:
    rest = {"signature": signature, "traceparent": traceparent}
    return {name: value for name, value in rest.items() if value is not None}


def _signature(key: bytes, metadata: Mapping[str, Any]) -> str:
    """HMAC-SHA256 over our own names, sorted, as JSON. Names that somebody added are not looked at."""
    signed = sorted(
        (name, value) for name, value in metadata.items() if name in _SIGNED or name.startswith(_SHARE)
    )
    canonical = json.dumps(signed, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()
