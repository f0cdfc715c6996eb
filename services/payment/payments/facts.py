"""Events about a payment, built from its row. The same row always gives the same event."""

from collections.abc import Mapping

from contracts.events.envelope import event_id
from contracts.events.payment import (
    PaymentCanceled,
    PaymentFailed,
    PaymentProcessing,
    PaymentState,
    PaymentSucceeded,
    PaymentUpdated,
    Share,
)
from contracts.money import Money
from contracts.vocabulary import PaymentStatus
from services.payment.ledger.domain import allocate
from services.payment.payments import identities
from services.payment.payments.domain import Payment

FACTS: Mapping[PaymentStatus, type[PaymentState]] = {
    "processing": PaymentProcessing,
    "succeeded": PaymentSucceeded,
    "failed": PaymentFailed,
    "canceled": PaymentCanceled,
}


def fact_about(payment: Payment) -> PaymentState:
    """Build the state event of the payment's version."""
    event = FACTS[payment.status]
    made_before = event_id(payment.updated_at, event.topic.name, payment.id, payment.version)
    return event(
        id=payment.fact_id or made_before,
        time=payment.updated_at,
        clinic_id=payment.clinic_id,
        version=payment.version,
        payment_id=payment.id,
        client_id=payment.client_id,
        status=payment.status,
        amount=Money(minor=payment.amount, currency=payment.currency),
        invoices=_shares(payment),
        surplus=Money(minor=payment.surplus, currency=payment.currency) if payment.surplus else None,
        method=payment.method,
        captured_at=payment.succeeded_at if payment.status == "succeeded" else None,
        failure_code=payment.failure_code if payment.status == "failed" else None,
    )


def update_about(payment: Payment) -> PaymentUpdated | None:
    """Build `payment.updated`, which adds the payment method to a success published without it.

    None for a payment that settled nothing, since no reader keeps a method for it.
    """
    settled = tuple(share.receivable_id for share in payment.allocations if share.settled_amount)
    if payment.status != "succeeded" or payment.method is None or not settled:
        return None
    assert payment.succeeded_at is not None
    made_before = event_id(payment.succeeded_at, PaymentUpdated.topic.name, payment.id)
    return PaymentUpdated(
        id=identities.of_update(payment) if payment.fact_id else made_before,
        time=payment.succeeded_at,
        clinic_id=payment.clinic_id,
        payment_id=payment.id,
        client_id=payment.client_id,
        method=payment.method,
        invoices=settled,
    )


def _shares(payment: Payment) -> tuple[Share, ...]:
    """The settled shares of a succeeded payment; before, the shares to settle, within the sum that Stripe charges."""
    if payment.status == "succeeded":
        parts = {share.receivable_id: share.settled_amount for share in payment.allocations}
    else:
        parts = allocate(
            payment.amount, ((share.receivable_id, share.amount) for share in payment.allocations)
        )
    return tuple(
        Share(invoice_id=receivable_id, amount=Money(minor=part, currency=payment.currency))
        for receivable_id, part in parts.items()
        if part
    )
