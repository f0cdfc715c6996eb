"""Parked settlements: a real one is in payment's ledger, and no other may be applied."""

from collections.abc import Mapping
from typing import Any

from contracts.events import topics
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError


class NotInLedger(DomainError):
    """A replay would count money that nobody took."""

    code = "not_in_ledger"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "payment's ledger has no such movement, so a replay would count money that nobody took. Find out who wrote "
            "it, and discard it; what a restore lost is adopted from Stripe first"
        )


async def is_real(payment: Connection, row: Mapping[str, Any]) -> bool:
    """Whether payment's ledger has the movement of a parked settlement, which has the id of its event."""
    found = await payment.fetchval(
        "SELECT true FROM movements WHERE clinic_id = $1 AND id = $2", row["clinic_id"], row["event_id"]
    )
    return found is not None


def is_settlement(row: Mapping[str, Any]) -> bool:
    """Whether a parked row is a settlement that some program can read."""
    return row["topic"] == topics.PAYMENT_SETTLED.name and row["event_id"] is not None
