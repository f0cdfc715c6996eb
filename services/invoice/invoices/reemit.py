"""How an invoice's row becomes its events again."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import asyncpg
import msgspec

from contracts.events.envelope import Event
from services.chassis.outbox.reemit import Source
from services.invoice.invoices import domain, store

_INVOICES = f"""
    SELECT {store.INVOICE}, created_at, subtotal_amount, tax_amount, rounding_amount, overdue_at,
        (
            SELECT jsonb_agg(jsonb_build_array(code, percent::text, net, tax) ORDER BY first)
            FROM (
                SELECT code, min(percent) AS percent, sum(net_amount) AS net, sum(tax) AS tax, min(rank) AS first
                FROM invoice_lines AS l CROSS JOIN LATERAL (VALUES
                    (tax_code, tax_percent, tax_amount, 2 * position),
                    (second_tax_code, second_tax_percent, second_tax_amount, 2 * position + 1)
                ) AS taxed (code, percent, tax, rank)
                WHERE (l.clinic_id, l.invoice_id) = (i.clinic_id, i.id) AND code IS NOT NULL
                GROUP BY code
            ) AS taxed
        ) AS taxes,
        EXISTS (
            SELECT FROM invoice_documents AS d
            WHERE (d.clinic_id, d.invoice_id, d.version) = (i.clinic_id, i.id, i.version)
        ) AS by_document
    FROM invoices AS i WHERE changed_at >= $1 ORDER BY clinic_id, id
"""


def invoice_events(row: asyncpg.Record) -> Iterable[Event]:
    """The announcement, and the newest state unless that is the same, or is a document's: then it has that event."""
    more = (
        "created_at",
        "subtotal_amount",
        "tax_amount",
        "rounding_amount",
        "overdue_at",
        "taxes",
        "by_document",
    )
    fields = dict(row)
    created_at, net, tax, rounding, overdue_at, taxes, by_document = [fields.pop(name) for name in more]
    newest = store.invoice_of(fields)
    first = replace(
        newest,
        status=domain.first_status(newest.total_amount),
        settled_amount=0,
        refunded_amount=0,
        disputed_amount=0,
        credited_amount=0,
        written_off_amount=0,
        paid_at=None,
        paid_version=None,
        version=1,
        being_checked=False,
        pay_link_generation=0,
        changed_at=created_at,
    )
    taxed = [(code, Decimal(percent), base, part) for code, percent, base, part in msgspec.json.decode(taxes)]
    yield domain.created_event(first, domain.sums_of(newest.currency, net, tax, rounding, taxed))
    if newest.changed_at == overdue_at:
        yield domain.overdue_event(newest)
    elif newest.version > 1 and not by_document:
        before = "unpaid" if newest.paid_version == newest.version else newest.status
        yield domain.change_event(replace(newest, status=before), newest)


SOURCE = Source(_INVOICES, invoice_events)
