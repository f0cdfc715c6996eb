"""What this service hears. The chassis decodes, claims, parks, retries and commits."""

from collections.abc import Sequence

from contracts.clinic import ClinicUpdated
from contracts.invoice import InvoiceCreated, InvoicePaid, InvoiceUpdated
from contracts.payment import PaymentFailed, PaymentRefunded, PaymentSucceeded
from services.chassis.db.database import Connection
from services.chassis.kafka.consume import consumes
from services.notification.emails import actions


@consumes(ClinicUpdated, group="notification", unhurried=True)
async def on_clinic_updated(tx: Connection, updates: Sequence[ClinicUpdated]) -> None:
    """Keep how clinics present themselves."""
    await actions.keep_clinics(tx, updates)


@consumes(InvoiceCreated, InvoiceUpdated, InvoicePaid, group="notification", unhurried=True)
async def on_invoice_changed(
    tx: Connection, states: Sequence[InvoiceCreated | InvoiceUpdated | InvoicePaid]
) -> None:
    """Keep invoices, and tell clients of new ones."""
    await actions.keep_invoices(tx, states)


@consumes(PaymentSucceeded, PaymentFailed, group="notification", unhurried=True)
async def on_payment_ended(tx: Connection, ended: Sequence[PaymentSucceeded | PaymentFailed]) -> None:
    """Write receipts, and tell of failures."""
    await actions.tell_payments(tx, ended)


@consumes(PaymentRefunded, group="notification", unhurried=True)
async def on_payment_refunded(tx: Connection, refunded: Sequence[PaymentRefunded]) -> None:
    """Tell clients that money was sent back to them."""
    await actions.tell_refunds(tx, refunded)
