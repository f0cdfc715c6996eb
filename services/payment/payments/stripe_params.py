"""The values of a payment's PaymentIntent, made from the committed row alone."""

from dataclasses import replace
from typing import cast

from contracts.vocabulary import ACCEPTED_AS, PaymentKind
from services.payment.payments.domain import Payment
from services.payment.stripe.params import NewIntent
from services.payment.stripe.seal import DEPOSIT, SHARE, Seal, completed


def new_intent(payment: Payment) -> NewIntent:
    """The PaymentIntent to make, or to look for when an earlier call may have made it."""
    return NewIntent(
        account=payment.account,
        livemode=payment.livemode,
        amount=payment.amount,
        currency=payment.currency,
        way=ACCEPTED_AS[cast(PaymentKind, payment.kind)],
        save=payment.save,
        metadata=metadata_of(payment),
        idempotency_key=payment.idempotency_key,
        created_at=payment.created_at,
    )


def seal_payment(payment: Payment, seal: Seal) -> Payment:
    """The payment with the seal that its intent will carry."""
    named = replace(payment, installation=seal.installation)
    return replace(named, signature=seal.sign(metadata_of(named)))


def metadata_of(payment: Payment) -> dict[str, str]:
    """The metadata of a payment's intent. A payment of an earlier release goes out as it would have: without a seal."""
    metadata = {"clinic_id": str(payment.clinic_id), "payment_id": str(payment.id)}
    if payment.installation is not None:
        metadata |= {"installation": payment.installation, "client_id": str(payment.client_id)}
        metadata |= {
            f"{SHARE}{at}": f"{share.receivable_id} {share.amount} {payment.currency}"
            for at, share in enumerate(payment.allocations, start=1)
        }
        if payment.deposit:
            metadata[DEPOSIT] = f"{payment.amount} {payment.currency}"
    return completed(metadata, payment.signature, payment.traceparent)
