"""Clinics and invoices as e-mails need them: copies, kept up to date by events. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar
from uuid import UUID

from contracts.events.envelope import StateEvent
from contracts.money import Money

E = TypeVar("E", bound=StateEvent)


@dataclass(frozen=True, slots=True)
class Clinic:
    """The sender. `locale` and `time_zone` decide how money and days are written.

    `online_payment`: it takes payments in the portal, and its Stripe account can.
    """

    id: UUID
    slug: str
    name: str
    locale: str
    time_zone: str
    accent: str
    billing_shown: bool
    online_payment: bool
    pay_links: bool
    reminders: tuple[int, ...]
    amounts_in_subjects: bool
    attach_documents: bool
    phone: str
    email: str
    address: str
    hours: str


@dataclass(frozen=True, slots=True)
class Invoice:
    """`seller_name`, `locale` and `time_zone` are the clinic's when it was issued, or empty.

    `disputed`: a bank has money that was paid on it, and decides.
    """

    id: UUID
    number: str
    status: str
    due: Money
    due_on: date
    being_checked: bool = False
    seller_name: str = ""
    locale: str = ""
    time_zone: str = ""
    pay_link_generation: int = 0
    disputed: bool = False


def newest(events: Iterable[E]) -> list[E]:
    """The newest version of each aggregate, in order of (clinic, id) so that rows are locked in one order."""
    latest: dict[tuple[UUID, str], E] = {}
    for event in events:
        key = (event.clinic_id, str(event.key))
        if key not in latest or event.version > latest[key].version:
            latest[key] = event
    return [latest[key] for key in sorted(latest)]
