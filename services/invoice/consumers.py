"""Events that the invoice service consumes."""

from collections.abc import Collection, Sequence

from contracts.events.payment import (
    PaymentCanceled,
    PaymentFailed,
    PaymentProcessing,
    PaymentSettled,
    PaymentUpdated,
)
from services.chassis.db.database import Connection, Key
from services.chassis.kafka.consume import consumes, on_parked
from services.invoice.invoices import actions


@consumes(PaymentSettled, PaymentProcessing, PaymentFailed, PaymentCanceled, PaymentUpdated, group="invoice")
async def on_payment_changed(
    tx: Connection,
    events: Sequence[PaymentSettled | PaymentProcessing | PaymentFailed | PaymentCanceled | PaymentUpdated],
) -> None:
    """Book settled movements, store the states of payments, and publish the invoices' changes.

    One handler for all five, so that a batch locks its invoices once, in order.
    """
    await actions.book_payments(tx, events)


@on_parked(group="invoice")
async def on_movement_parked(tx: Connection, invoices: Collection[Key]) -> None:
    """Set or clear `being_checked` on the invoices of parked movements."""
    await actions.mark_being_checked(tx, invoices)
