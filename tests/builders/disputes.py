"""Events about disputes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.events.payment import PaymentDisputed
from contracts.money import Money
from services.chassis.clock import now
from services.chassis.ids import new_id


def a_dispute(clinic_id: UUID, client_id: UUID, amount: Money, **changes: Any) -> PaymentDisputed:
    """A chargeback in its first version, to be answered by Tuesday 17 November 2026."""
    facts: dict[str, Any] = {
        "id": new_id(),
        "time": now(),
        "clinic_id": clinic_id,
        "version": 1,
        "dispute_id": new_id(),
        "payment_id": new_id(),
        "client_id": client_id,
        "status": "needs_response",
        "reason": "fraudulent",
        "amount": amount,
        "taken": amount,
        "due_by": datetime.fromisoformat("2026-11-17T23:59:59+00:00"),
        "has_evidence": False,
        "opened_at": now(),
    }
    return PaymentDisputed.model_validate(facts | changes)
