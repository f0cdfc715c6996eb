"""Keep the copies of clinics, their accounts and invoices up to date."""

from collections.abc import Sequence

from contracts.events.account import AccountUpdated
from contracts.events.clinic import ClinicState
from contracts.events.invoice import InvoiceState
from services.chassis.db.database import Connection
from services.notification.projections import domain, store


async def upsert_clinics(tx: Connection, updates: Sequence[ClinicState]) -> None:
    """Save each clinic's newest version, unless a newer one is stored."""
    await store.upsert_clinics(tx, domain.newest(updates))


async def upsert_accounts(tx: Connection, updates: Sequence[AccountUpdated]) -> None:
    """Save the newest version of what each clinic's account can do, unless a newer one is stored."""
    await store.upsert_accounts(tx, domain.newest(updates))


async def upsert_invoices(tx: Connection, states: Sequence[InvoiceState]) -> None:
    """Save each invoice's newest version, unless a newer one is stored."""
    await store.upsert_invoices(tx, domain.newest(states))
