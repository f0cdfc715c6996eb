"""Between the bodies in `contracts.http.outside` and the domain's values."""

from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.http.common import Money
from contracts.http.outside import ClosingIn, ClosingOut, PartIn, RecordIn, UseCreditIn
from services.chassis.errors import DomainError
from services.payment.outside.domain import Count, CreditWanted, Origin, Taken


class InvoiceNamedTwice(DomainError):
    code = "invoice_named_twice"
    status = 422


def taken(body: RecordIn, now: datetime) -> Taken:
    """Raises `InvoiceNamedTwice`."""
    return Taken(
        body.client_id, body.kind, body.amount, body.currency, _shares(body.invoices), body.received_at or now
    )


def origin(body: RecordIn) -> Origin:
    return Origin(body.location, body.reference, body.on_behalf_of)


def credit(body: UseCreditIn) -> CreditWanted:
    """Raises `InvoiceNamedTwice`."""
    return CreditWanted(body.client_id, body.currency, _shares(body.invoices))


def count(body: ClosingIn) -> Count:
    return Count(body.location, body.currency, body.counted, body.note)


def _shares(parts: list[PartIn] | None) -> dict[UUID, int] | None:
    if parts is None:
        return None
    shares = {part.invoice_id: part.amount for part in parts}
    if len(shares) < len(parts):
        raise InvoiceNamedTwice("Name each invoice once.", field="invoices")
    return shares


def closing_out(row: asyncpg.Record) -> ClosingOut:
    expected, counted = row["expected_amount"], row["counted_amount"]
    return ClosingOut(
        id=row["id"],
        location=row["location"],
        expected=Money(expected, row["currency"]),
        counted=Money(counted, row["currency"]),
        difference=Money(counted - expected, row["currency"]),
        note=row["note"],
        closed_at=row["closed_at"],
    )
