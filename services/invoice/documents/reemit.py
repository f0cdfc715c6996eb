"""How a document's row becomes its event again."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from contracts.events.envelope import Event
from contracts.vocabulary import DocumentKind, DocumentReason, InvoiceStatus
from services.chassis.outbox.reemit import Source
from services.invoice.documents import domain
from services.invoice.documents.domain import Document, Part, Plan
from services.invoice.invoices import store
from services.invoice.invoices.totals import TaxRate

_STATE = ("version", "status", "settled_amount", "being_checked")
"""The invoice's state right after the document, in columns of the document."""
_INVOICE = ", ".join(f"i.{name}" for name in store.INVOICE.replace("\n", " ").replace(" ", "").split(","))

_DOCUMENTS = f"""
    SELECT {_INVOICE}, jsonb_build_object(
        'document_id', d.id, 'kind', d.kind, 'number', d.number, 'reason', d.reason, 'explanation', d.explanation,
        'rounding', d.rounding_amount, 'issued_on', d.issued_on, 'new_invoice_id', d.new_invoice_id,
        'due_before', d.due_before_amount,
        {", ".join(f"'{name}', d.{name}" for name in _STATE)},
        'taxes', (
            SELECT jsonb_agg(jsonb_build_array(tax_codes, tax_code, tax_name, tax_percent::text, net_amount, tax_amount)
                ORDER BY tax_codes, array_position(tax_codes, tax_code))
            FROM invoice_document_taxes AS t WHERE (t.clinic_id, t.document_id) = (d.clinic_id, d.id)
        )
    ) AS document, d.issued_at
    FROM invoice_documents AS d JOIN invoices AS i ON (i.clinic_id, i.id) = (d.clinic_id, d.invoice_id)
    WHERE d.issued_at >= $1 ORDER BY d.clinic_id, d.id
"""


class _Row(msgspec.Struct, frozen=True):
    document_id: UUID
    kind: DocumentKind
    number: str | None
    reason: DocumentReason
    explanation: str
    rounding: int
    issued_on: date
    new_invoice_id: UUID | None
    due_before: int
    version: int
    status: InvoiceStatus
    settled_amount: int
    being_checked: bool
    taxes: list[tuple[list[str], str, str, str, int, int]]


def document_events(row: asyncpg.Record) -> Iterable[Event]:
    fields: dict[str, Any] = dict(row)
    held = msgspec.json.decode(fields.pop("document"), type=_Row)
    issued_at = fields.pop("issued_at")
    invoice = store.invoice_of(fields)
    # Its sum of documents is not kept by version: what was left of the total is.
    then = replace(
        invoice,
        **{name: getattr(held, name) for name in _STATE},
        credited_amount=invoice.total_amount - held.due_before,
        written_off_amount=0,
        changed_at=issued_at,
    )
    made = Plan(
        kind=held.kind,
        reason=held.reason,
        explanation=held.explanation,
        parts=tuple(_parts(held.taxes)),
        rounding=held.rounding,
    )
    yield domain.document_event(
        Document(
            id=held.document_id,
            number=held.number,
            issued_on=held.issued_on,
            invoice=then,
            plan=made,
            new_invoice_id=held.new_invoice_id,
        )
    )


def _parts(taxes: list[tuple[list[str], str, str, str, int, int]]) -> Iterable[Part]:
    parts: dict[tuple[str, ...], Part] = {}
    for codes, code, name, percent, net, tax in taxes:
        held = parts.get(tuple(codes), Part((), net, ()))
        rate = TaxRate(code, name, Decimal(percent))
        parts[tuple(codes)] = Part((*held.rates, rate), net, (*held.taxes, tax))
    return parts.values()


SOURCE = Source(_DOCUMENTS, document_events)
