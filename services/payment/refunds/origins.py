"""Which refund of ours an event of Stripe's is about. `clinicpay verify` decides by the same function."""

from dataclasses import dataclass

from contracts.events.stripe import StripeEvent
from services.payment.refunds.domain import Refund
from services.payment.stripe.mismatches import StripeMismatch
from services.payment.stripe.origins import Reason, intent_of, is_lost, reason_of, refuses


@dataclass(frozen=True, slots=True)
class KnownRefund:
    """A refund of ours as far as telling events apart goes. `of_intent` is with its account."""

    stripe_id: str | None
    of_intent: tuple[str, str | None]
    sealed: bool

    @classmethod
    def of(cls, refund: Refund) -> "KnownRefund":
        of_intent = (refund.account, refund.intent_id)
        return cls(refund.stripe_refund_id, of_intent, refund.signature is not None)


def refund_refused(seen: StripeEvent, named: KnownRefund | None) -> Reason | None:
    """Why an event is about no refund of ours; None if it is about the one that it names. Raises `UnknownRefund`."""
    if named is None and seen.refund_id is not None and is_lost(seen):
        raise UnknownRefund("No refund has the id that the event names.")
    if named is None:
        return reason_of(seen)
    if named.stripe_id == seen.object_id:
        return None
    return refuses(seen, named.sealed) or ("copied" if intent_of(seen) != named.of_intent else None)


class UnknownRefund(StripeMismatch):
    code = "stripe_unknown_refund"
