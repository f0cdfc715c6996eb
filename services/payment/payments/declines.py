"""Declines: the tries that a bank refused. They are counted, since who tries out stolen cards has many."""

from typing import Any

from contracts.stripe import StripeEvent
from contracts.vocabulary import PaymentStatus
from services.payment.payments.domain import Payment


def counted(payment: Payment, status: PaymentStatus, seen: StripeEvent) -> dict[str, Any]:
    """The fields of the payment that count its declines, after the news that its status is `status`.

    A debit that fails after days is no decline. A decline leaves a failed charge at Stripe, by which the same one is
    known when it comes again: in a second event of Stripe's, or from the sweeper.
    """
    again = seen.charge is not None and seen.charge == payment.declined_charge
    if status != "failed" or payment.status == "processing" or again:
        return {}
    return {"declines": payment.declines + 1, "declined_charge": seen.charge}
