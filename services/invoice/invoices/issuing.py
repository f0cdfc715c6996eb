"""Issuing invoices, one or a set: decide, number, save, state the facts. A set is issued whole or not at all."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from contracts.http.clinics import ClinicOut
from contracts.http.invoices import InvoiceIn, InvoiceOut, InvoicesOut
from services.chassis import audit, clock, idempotency
from services.chassis.db.database import Connection
from services.chassis.db.statements import execute
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.chassis.outbox import outbox
from services.invoice.clients import store as client_store
from services.invoice.clients.domain import ClientNotFound
from services.invoice.clinics.domain import ClinicNotFound
from services.invoice.invoices import domain, views
from services.invoice.invoices import issuing_store as store_issuing
from services.invoice.invoices.domain import Bill, Invoice

Issued = list[tuple[Invoice, Bill]]


class InvoicesRefused(DomainError):
    """Some invoices of a set are refused, so none is issued. `errors` has each one's `position`, `code`, `detail`."""

    code = "invoices_refused"
    status = 422


async def issue_invoice(
    tx: Connection, caller: Caller, given: InvoiceIn, *, key: str | None, body: bytes
) -> InvoiceOut:
    """Issue an invoice under an idempotency key: the same request again has the first one's answer.

    `body` is the request's, as it came. Raises `ClinicNotFound`, `ClientNotFound`, and what `idempotency.claim` and
    `domain.issue` raise.
    """
    earlier = await idempotency.claim(tx, caller.clinic, key, body)
    if earlier is not None:
        return msgspec.json.decode(earlier, type=InvoiceOut)
    now = clock.now()
    clinic, clients = await _known(tx, caller.clinic, {given.client_id})
    numbered = await _numbered(tx, clinic, [_bill(given, clinic, clients, now)], now)
    [answer] = _shown(numbered, clinic, now)
    assert key is not None, "claimed above"
    await _write(tx, caller, numbered, [answer], key, msgspec.json.encode(answer))
    return answer


async def issue_invoices(
    tx: Connection, caller: Caller, given: Sequence[InvoiceIn], *, key: str | None, body: bytes
) -> InvoicesOut:
    """Issue a set of invoices under one idempotency key, numbered in their order; all of them or none.

    Raises `InvoicesRefused`, `ClinicNotFound`, and what `idempotency.claim` raises.
    """
    earlier = await idempotency.claim(tx, caller.clinic, key, body)
    if earlier is not None:
        return msgspec.json.decode(earlier, type=InvoicesOut)
    now = clock.now()
    clinic, clients = await _known(tx, caller.clinic, {each.client_id for each in given})
    numbered = await _numbered(tx, clinic, _bills(given, clinic, clients, now), now)
    invoices = _shown(numbered, clinic, now)
    answer = InvoicesOut(invoices=[views.row_of(invoice) for invoice in invoices])
    assert key is not None, "claimed above"
    await _write(tx, caller, numbered, invoices, key, msgspec.json.encode(answer))
    return answer


async def _known(tx: Connection, clinic_id: UUID, client_ids: set[UUID]) -> tuple[ClinicOut, set[UUID]]:
    """The clinic, and which of the ids are clients of it. Raises `ClinicNotFound`."""
    known = await client_store.get_clinic_and_clients(tx, clinic_id, client_ids)
    if known is None:
        raise ClinicNotFound("no clinic has this id")
    return known


async def _numbered(tx: Connection, clinic: ClinicOut, bills: Sequence[Bill], now: datetime) -> Issued:
    """Take the numbers of what was decided: from here on the clinic's other issuers wait for the commit."""
    first = await store_issuing.take_numbers(tx, clinic.id, Counter(bill.issued_on.year for bill in bills))
    issued = []
    for bill in bills:
        year = bill.issued_on.year
        issued.append((_new_invoice(clinic.id, bill, first[year], now), bill))
        first[year] += 1
    return issued


def _shown(issued: Issued, clinic: ClinicOut, now: datetime) -> list[InvoiceOut]:
    today = domain.today_at(clinic, now)
    return [views.issued(invoice, bill, clinic, today) for invoice, bill in issued]


async def _write(
    tx: Connection, caller: Caller, issued: Issued, shown: Sequence[InvoiceOut], key: str, answer: bytes
) -> None:
    """All that there is to say of new invoices, in one round trip: what they are, the log, the facts, the answer."""
    await execute(
        tx,
        audit.recording_new(caller, "issue_invoice", [(invoice.id, invoice) for invoice in shown]),
        idempotency.keeping(caller.clinic, key, answer),
        outbox.adding((domain.creation(invoice), None) for invoice, _ in issued),
        store_issuing.adding_lines(issued),
        store_issuing.adding_invoices(issued),
    )


def _bill(given: InvoiceIn, clinic: ClinicOut, clients: set[UUID], now: datetime) -> Bill:
    bill = domain.issue(given, clinic, now)
    if given.client_id not in clients:
        raise ClientNotFound("the clinic has no client with this id", field="client_id")
    return bill


def _bills(given: Sequence[InvoiceIn], clinic: ClinicOut, clients: set[UUID], now: datetime) -> list[Bill]:
    bills: list[Bill] = []
    refusals: list[dict[str, Any]] = []
    for position, each in enumerate(given):
        try:
            bills.append(_bill(each, clinic, clients, now))
        except DomainError as refusal:
            refusals.append(
                {"position": position, "code": refusal.code, "detail": refusal.detail, **refusal.fields}
            )
    if refusals:
        raise InvoicesRefused("None was issued: some cannot be. `errors` says which.", errors=refusals)
    return bills


def _new_invoice(clinic_id: UUID, bill: Bill, sequence: int, now: datetime) -> Invoice:
    return Invoice(
        clinic_id=clinic_id,
        id=new_id(),
        client_id=bill.client_id,
        number=domain.invoice_number(bill.issued_on.year, sequence),
        status="unpaid",
        currency=bill.currency,
        total_amount=bill.totals.total,
        issued_on=bill.issued_on,
        due_on=bill.due_on,
        changed_at=now,
    )
