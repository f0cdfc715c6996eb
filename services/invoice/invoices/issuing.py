"""Issue invoices, one or a set: check, number, save, publish. A set is issued whole or not at all."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from contracts.http.invoices import InvoiceOut, InvoicesOut
from services.chassis import audit, clock, idempotency
from services.chassis.db.database import Connection
from services.chassis.db.statements import execute
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.chassis.http.faults import body_fault, path_of
from services.chassis.ids import new_id
from services.chassis.outbox import outbox
from services.invoice.clients import store as client_store
from services.invoice.clients.domain import Client, ClientNotFound
from services.invoice.clinics.domain import Clinic, ClinicNotFound, seller_of
from services.invoice.invoices import domain, views
from services.invoice.invoices import issuing_store as store
from services.invoice.invoices.domain import Invoice
from services.invoice.invoices.drafts import InvoiceDraft, PricedDraft, price_draft, today_at

Issued = list[tuple[Invoice, PricedDraft]]
Clients = Mapping[UUID, Client]


class InvoicesRefused(DomainError):
    """Some invoices of a set are refused, so none is issued. `errors` has each one's `position`, `code`, `detail`."""

    code = "invoices_refused"
    status = 422


async def issue_invoice(
    tx: Connection, caller: Caller, given: InvoiceDraft, *, key: str | None, body: bytes
) -> InvoiceOut:
    """Issue an invoice under an idempotency key: the same request again gets the first one's answer.

    `body` is the request's body, as it was sent. Raises `ClinicNotFound`, `ClientNotFound`, and the errors of
    `idempotency.claim` and `price_draft`.
    """
    earlier = await idempotency.claim(tx, caller.clinic, key, body)
    if earlier is not None:
        return msgspec.json.decode(earlier, type=InvoiceOut)
    now = clock.now()
    clinic, clients = await _clinic_and_clients(tx, caller.clinic, {given.client_id})
    issued = await _number(tx, clinic, [_check(given, clinic, clients, now)], now)
    [answer] = _answers(issued, clinic, clients, now)
    assert key is not None, "claimed above"
    await _save(tx, caller, issued, clients, key, msgspec.json.encode(answer))
    return answer


async def issue_invoices(
    tx: Connection, caller: Caller, given: Sequence[InvoiceDraft], *, key: str | None, body: bytes
) -> InvoicesOut:
    """Issue a set of invoices under one idempotency key, numbered in their order; all of them or none.

    Raises `InvoicesRefused`, `ClinicNotFound`, and the errors of `idempotency.claim`.
    """
    earlier = await idempotency.claim(tx, caller.clinic, key, body)
    if earlier is not None:
        return msgspec.json.decode(earlier, type=InvoicesOut)
    now = clock.now()
    clinic, clients = await _clinic_and_clients(tx, caller.clinic, {each.client_id for each in given})
    issued = await _number(tx, clinic, _check_all(given, clinic, clients, now), now)
    answer = InvoicesOut(invoices=[views.row_of(each) for each in _answers(issued, clinic, clients, now)])
    assert key is not None, "claimed above"
    await _save(tx, caller, issued, clients, key, msgspec.json.encode(answer))
    return answer


async def _clinic_and_clients(
    tx: Connection, clinic_id: UUID, client_ids: set[UUID]
) -> tuple[Clinic, Clients]:
    """The clinic, and its clients of these ids. Raises `ClinicNotFound`."""
    found = await client_store.get_clinic_and_clients(tx, clinic_id, client_ids)
    if found is None:
        raise ClinicNotFound("no clinic has this id")
    return found


async def _number(tx: Connection, clinic: Clinic, drafts: Sequence[PricedDraft], now: datetime) -> Issued:
    """Number the drafts. From here on the clinic's other issuers wait for the commit."""
    first = await store.allocate_numbers(tx, clinic.id, Counter([draft.issued_on.year for draft in drafts]))
    issued = []
    for draft in drafts:
        year = draft.issued_on.year
        issued.append((_new_invoice(clinic, draft, first[year], now), draft))
        first[year] += 1
    return issued


def _answers(issued: Issued, clinic: Clinic, clients: Clients, now: datetime) -> list[InvoiceOut]:
    today = today_at(clinic, now)
    return [
        views.issued(invoice, draft, clinic, clients[invoice.client_id], today) for invoice, draft in issued
    ]


async def _save(
    tx: Connection, caller: Caller, issued: Issued, clients: Clients, key: str, answer: bytes
) -> None:
    """Save new invoices in one round trip with their audit entries, their events, and the request's answer.

    The audit entries' hashes leave out to whom an invoice is addressed, which may be erased.
    """
    await execute(
        tx,
        audit.recording_new(caller, "issue_invoice", [(each[0].id, each) for each in issued]),
        idempotency.keeping(caller.clinic, key, answer),
        outbox.adding((domain.created_event(invoice), None) for invoice, _ in issued),
        store.insert_identities(issued, clients),
        store.insert_lines(issued),
        store.insert_invoices(issued),
    )


def _check(given: InvoiceDraft, clinic: Clinic, clients: Clients, now: datetime) -> PricedDraft:
    draft = price_draft(given, clinic, now)
    if given.client_id not in clients:
        raise ClientNotFound("the clinic has no client with this id", field="client_id")
    return draft


def _check_all(
    given: Sequence[InvoiceDraft], clinic: Clinic, clients: Clients, now: datetime
) -> list[PricedDraft]:
    drafts: list[PricedDraft] = []
    refusals: list[dict[str, Any]] = []
    for position, each in enumerate(given):
        try:
            drafts.append(_check(each, clinic, clients, now))
        except DomainError as refusal:
            refusals.append(
                {
                    "position": position,
                    "code": refusal.code,
                    "detail": refusal.detail,
                    **_place(position, refusal),
                }
            )
    if refusals:
        raise InvoicesRefused("None was issued: some cannot be. `errors` says which.", errors=refusals)
    return drafts


def _place(position: int, refusal: DomainError) -> dict[str, Any]:
    """A refusal's members; its `field` is the invoice's own, its `pointer` is the whole body's."""
    if "field" not in refusal.fields:
        return refusal.fields
    pointer = body_fault(("invoices", position, *path_of(refusal.fields["field"])), "")["pointer"]
    return {**refusal.fields, "pointer": pointer}


def _new_invoice(clinic: Clinic, draft: PricedDraft, sequence: int, now: datetime) -> Invoice:
    return Invoice(
        clinic_id=clinic.id,
        id=new_id(),
        client_id=draft.client_id,
        number=domain.invoice_number(draft.issued_on.year, sequence),
        status="unpaid",
        currency=draft.currency,
        total_amount=draft.totals.total,
        issued_on=draft.issued_on,
        due_on=draft.due_on,
        seller=seller_of(clinic),
        locale=clinic.locale,
        time_zone=clinic.time_zone,
        changed_at=now,
    )
