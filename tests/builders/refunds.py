"""Events about refunds."""

from uuid import UUID

from contracts.events.payment import PaymentRefunded
from contracts.money import Money
from services.chassis.clock import now
from services.chassis.ids import new_id
from tests.builders.payments import VISA


def a_refund(clinic_id: UUID, client_id: UUID, amount: Money) -> PaymentRefunded:
    """A refund to the card that paid."""
    return PaymentRefunded(
        id=new_id(),
        time=now(),
        clinic_id=clinic_id,
        refund_id=new_id(),
        payment_id=new_id(),
        client_id=client_id,
        amount=amount,
        method=VISA,
    )
