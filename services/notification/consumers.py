"""Events that this service consumes. The chassis decodes, claims, parks, retries and commits."""

from collections.abc import Sequence

from contracts.events.account import AccountUpdated
from contracts.events.client import ClientErased
from contracts.events.clinic import ClinicUpdated
from contracts.events.envelope import Event
from contracts.events.invoice import INVOICE_STATES, InvoiceState
from services.chassis.db.database import Connection
from services.chassis.kafka.consume import consumes
from services.notification.contacts import actions as contacts
from services.notification.emails import actions as emails
from services.notification.emails.kinds import EVENTS_WITHOUT_COPY
from services.notification.projections import actions as projections


@consumes(ClinicUpdated, group="notification", delay_tolerant=True)
async def on_clinic_updated(tx: Connection, updates: Sequence[ClinicUpdated]) -> None:
    """Update the copies of clinics."""
    await projections.upsert_clinics(tx, updates)


@consumes(ClientErased, group="notification", delay_tolerant=True)
async def on_client_erased(tx: Connection, events: Sequence[ClientErased]) -> None:
    """Delete the contacts of clients who were erased."""
    await contacts.erase(tx, events)


@consumes(AccountUpdated, group="notification", delay_tolerant=True)
async def on_account_updated(tx: Connection, updates: Sequence[AccountUpdated]) -> None:
    """Keep which clinics' accounts can take payments."""
    await projections.upsert_accounts(tx, updates)


@consumes(*INVOICE_STATES, group="notification", delay_tolerant=True)
async def on_invoice_changed(tx: Connection, states: Sequence[InvoiceState]) -> None:
    """Update the copies of invoices, and queue e-mails about new ones and their corrections."""
    await projections.upsert_invoices(tx, states)
    await emails.queue_emails(tx, states)


@consumes(*EVENTS_WITHOUT_COPY, group="notification", delay_tolerant=True)
async def on_payment_event(tx: Connection, events: Sequence[Event]) -> None:
    """Keep what banks decide on, and queue receipts, and e-mails about failures, refunds and disputes."""
    await projections.upsert_disputes(tx, events)
    await emails.queue_emails(tx, events)
