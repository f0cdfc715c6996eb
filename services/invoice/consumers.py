"""What the invoice service hears from Kafka."""

from collections.abc import Collection, Sequence

from contracts.payment import (
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
    """Book what payment has settled and follow what is on its way; say what became of the invoices.

    One handler for all five, so that a batch locks its invoices once, in order.
    """
    await actions.book_payments(tx, events)


@on_parked(group="invoice")
async def on_movement_parked(tx: Connection, invoices: Collection[Key]) -> None:
    """Say of invoices whether they are being checked."""
    await actions.note_checks(tx, invoices)
