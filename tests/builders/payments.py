"""Events about payments."""

from datetime import UTC, datetime
from uuid import UUID

from contracts.events import Method, event_id
from contracts.money import Money
from contracts.payment import PaymentSettled
from services.chassis.ids import new_id


def a_settlement(
    clinic_id: UUID, invoice_id: UUID, amount: Money, *, kind: str = "payment", payment_id: UUID | None = None
) -> PaymentSettled:
    """Money moved against an invoice."""
    now = datetime.now(UTC)
    payment_id = payment_id or new_id()
    movement_id = event_id(now, "payment.settled", payment_id, invoice_id, kind, new_id())
    return PaymentSettled.model_validate(
        {
            "id": movement_id,
            "time": now,
            "clinic_id": clinic_id,
            "movement_id": movement_id,
            "invoice_id": invoice_id,
            "payment_id": payment_id,
            "kind": kind,
            "amount": amount,
            "method": Method(kind="card", brand="visa", last4="4242"),
        }
    )
