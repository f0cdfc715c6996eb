"""Keep the copies of clinics, their accounts, disputes and invoices up to date."""

from collections.abc import Sequence

from contracts.events.account import AccountUpdated
from contracts.events.clinic import ClinicState
from contracts.events.envelope import Event
from contracts.events.invoice import InvoiceState
from contracts.events.payment import PaymentDisputed
from services.chassis.db.database import Connection
from services.notification.projections import domain, store


async def upsert_clinics(tx: Connection, updates: Sequence[ClinicState]) -> None:
    """Save each clinic's newest version, unless a newer one is stored."""
    await store.upsert_clinics(tx, domain.newest(updates))


async def upsert_accounts(tx: Connection, updates: Sequence[AccountUpdated]) -> None:
    """Save the newest version of what each clinic's account can do, unless a newer one is stored."""
    await store.upsert_accounts(tx, domain.newest(updates))


async def upsert_disputes(tx: Connection, events: Sequence[Event]) -> None:
    """Save the newest version of each dispute among the events, unless a newer one is stored."""
    disputes = [event for event in events if isinstance(event, PaymentDisputed)]
    if disputes:
        await store.upsert_disputes(tx, domain.newest(disputes))


async def upsert_invoices(tx: Connection, states: Sequence[InvoiceState]) -> None:
    """Save each invoice's newest version, unless a newer one is stored."""
    await store.upsert_invoices(tx, domain.newest(states))
