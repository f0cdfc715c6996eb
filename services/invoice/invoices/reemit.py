"""How an invoice's row becomes its events again."""

from collections.abc import Iterable
from dataclasses import replace

import asyncpg

from contracts.events.envelope import Event
from services.chassis.outbox.reemit import Source
from services.invoice.invoices import domain, store

_INVOICES = """
    SELECT clinic_id, id, client_id, number, status, currency, total_amount, settled_amount, refunded_amount,
        issued_on, due_on, paid_at, version, changed_at, being_checked, seller, locale, time_zone, created_at
    FROM invoices WHERE changed_at >= $1 ORDER BY clinic_id, id
"""


def invoice_events(row: asyncpg.Record) -> Iterable[Event]:
    """The announcement, and the newest state unless that is the same."""
    fields = dict(row)
    created_at = fields.pop("created_at")
    newest = store.invoice_of(fields)
    first = replace(
        newest,
        status="unpaid",
        settled_amount=0,
        refunded_amount=0,
        paid_at=None,
        version=1,
        being_checked=False,
        changed_at=created_at,
    )
    yield domain.created_event(first)
    if newest.version > 1:
        # No earlier version is kept: if the newest one is paid, it is published as the one that became paid.
        yield domain.change_event(replace(newest, status="unpaid"), newest)


SOURCE = Source(_INVOICES, invoice_events)
