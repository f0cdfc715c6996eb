"""Events that this service consumes. The chassis decodes, claims, parks, retries and commits."""

from collections.abc import Sequence

from contracts.events.clinic import ClinicUpdated
from contracts.events.invoice import InvoiceCreated, InvoicePaid, InvoiceUpdated
from contracts.events.payment import PaymentFailed, PaymentRefunded, PaymentSucceeded
from services.chassis.db.database import Connection
from services.chassis.kafka.consume import consumes
from services.notification.emails import actions as emails
from services.notification.projections import actions as projections


@consumes(ClinicUpdated, group="notification", delay_tolerant=True)
async def on_clinic_updated(tx: Connection, updates: Sequence[ClinicUpdated]) -> None:
    """Update the copies of clinics."""
    await projections.upsert_clinics(tx, updates)


@consumes(InvoiceCreated, InvoiceUpdated, InvoicePaid, group="notification", delay_tolerant=True)
async def on_invoice_changed(
    tx: Connection, states: Sequence[InvoiceCreated | InvoiceUpdated | InvoicePaid]
) -> None:
    """Update the copies of invoices, and queue e-mails about new ones."""
    await projections.upsert_invoices(tx, states)
    await emails.queue_emails(tx, states)


@consumes(PaymentSucceeded, PaymentFailed, group="notification", delay_tolerant=True)
async def on_payment_ended(tx: Connection, ended: Sequence[PaymentSucceeded | PaymentFailed]) -> None:
    """Queue receipts, and e-mails about failures."""
    await emails.queue_emails(tx, ended)


@consumes(PaymentRefunded, group="notification", delay_tolerant=True)
async def on_payment_refunded(tx: Connection, refunded: Sequence[PaymentRefunded]) -> None:
    """Queue e-mails about refunds."""
    await emails.queue_emails(tx, refunded)
