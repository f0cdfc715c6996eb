"""The entry and the movements that a payment books. Pure; amounts in minor units."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from contracts.events.payment import PaymentSettled
from contracts.money import Money
from contracts.vocabulary import MovementKind
from services.payment.ledger import domain as ledger
from services.payment.ledger.domain import Effect, Entry, Posting
from services.payment.payments import identities
from services.payment.payments.domain import Payment


def entry_of(
    payment: Payment,
    effect: Effect,
    postings: Sequence[Posting],
    now: datetime,
    cause: str,
    observed_by: str | None = None,
) -> Entry:
    """The entry of one effect of the payment. `cause` names the effect: Stripe's object, or a key of ours."""
    return ledger.entry_of(
        payment.clinic_id, payment.id, payment.id, effect, cause, postings, now, observed_by
    )


def movement_of(
    payment: Payment, receivable_id: UUID, kind: MovementKind, amount: int, now: datetime, *cause: str
) -> PaymentSettled:
    """Money of the payment that a receivable gets, or loses where `amount` is negative."""
    movement_id = identities.of_movement(payment, receivable_id, kind, *cause)
    return PaymentSettled(
        id=movement_id,
        time=now,
        clinic_id=payment.clinic_id,
        movement_id=movement_id,
        invoice_id=receivable_id,
        payment_id=payment.id,
        kind=kind,
        amount=Money(minor=amount, currency=payment.currency),
        method=payment.method,
        captured_at=payment.succeeded_at if kind == "payment" else None,
        stripe_object_id=payment.intent_id,
    )
