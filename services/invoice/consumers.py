"""Events that the invoice service consumes."""

from collections.abc import Collection, Sequence

from contracts.events.payment import (
    PaymentCanceled,
    PaymentFailed,
    PaymentProcessing,
    PaymentSettled,
    PaymentUpdated,
)
from services.chassis import clock
from services.chassis.db.database import Connection, Key
from services.chassis.kafka.consume import consumes, on_parked
from services.chassis.telemetry.metrics import Seconds
from services.invoice.invoices import actions

_paid = Seconds(
    "clinicpay.settlement.paid",
    "From the second in which Stripe captured a payment to the commit that books it on its invoice",
)

Paying = PaymentSettled | PaymentProcessing | PaymentFailed | PaymentCanceled | PaymentUpdated


def measure_paid(events: Sequence[Paying]) -> None:
    now = clock.now()
    for event in events:
        if isinstance(event, PaymentSettled) and event.kind == "payment" and event.captured_at is not None:
            _paid.record((now - event.captured_at).total_seconds(), traceparent=event.traceparent)


@consumes(
    PaymentSettled,
    PaymentProcessing,
    PaymentFailed,
    PaymentCanceled,
    PaymentUpdated,
    group="invoice",
    measure=measure_paid,
)
async def on_payment_changed(tx: Connection, events: Sequence[Paying]) -> None:
    """Book settled movements, store the states of payments, and publish the invoices' changes.

    One handler for all five, so that a batch locks its invoices once, in order.
    """
    await actions.book_payments(tx, events)


@on_parked(group="invoice")
async def on_movement_parked(tx: Connection, invoices: Collection[Key]) -> None:
    """Set or clear `being_checked` on the invoices of parked movements."""
    await actions.mark_being_checked(tx, invoices)
