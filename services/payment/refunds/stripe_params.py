"""The values of a refund at Stripe, made from the committed row alone."""

from dataclasses import replace

from services.payment.refunds.domain import Refund
from services.payment.stripe.params import NewRefund
from services.payment.stripe.seal import SHARE, Seal, completed


def new_refund(refund: Refund) -> NewRefund:
    """The refund to make, or to look for when an earlier call may have made it."""
    return NewRefund(
        account=refund.account,
        intent_id=refund.intent_id,
        amount=refund.amount,
        currency=refund.currency,
        metadata=metadata_of(refund),
        idempotency_key=refund.idempotency_key,
        refund_fee=refund.refund_fee,
    )


def seal_refund(refund: Refund, seal: Seal) -> Refund:
    """The refund with the seal that it will carry at Stripe."""
    named = replace(refund, installation=seal.installation)
    return replace(named, signature=seal.sign(metadata_of(named)))


def metadata_of(refund: Refund) -> dict[str, str]:
    """The metadata of a refund; one of an earlier release has no seal."""
    metadata = {
        "clinic_id": str(refund.clinic_id),
        "payment_id": str(refund.payment_id),
        "refund_id": str(refund.id),
    }
    if refund.installation is not None:
        metadata |= {"installation": refund.installation, "amount": f"{refund.amount} {refund.currency}"}
        metadata |= {
            f"{SHARE}{at}": f"{share.receivable_id} {share.amount} {refund.currency}"
            for at, share in enumerate(refund.shares, start=1)
        }
    return completed(metadata, refund.signature, refund.traceparent)
