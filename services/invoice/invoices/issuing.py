"""Issue invoices, one or a set: check, number, save, publish. A set is issued whole or not at all."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from contracts.events.invoice import Sums
from contracts.http.invoices import InvoiceOut, InvoicesOut
from services.chassis import audit, clock, idempotency
from services.chassis.db.database import Connection
from services.chassis.db.statements import Statement, execute
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.chassis.http.faults import body_fault, path_of
from services.chassis.ids import new_id
from services.chassis.outbox import outbox
from services.chassis.refusals import Refusals
from services.chassis.telemetry import attributes
from services.invoice.checks import ExternalIdTaken
from services.invoice.clients import store as client_store
from services.invoice.clients.domain import Client, ClientNotFound
from services.invoice.clinics.domain import Clinic, ClinicNotFound, seller_of
from services.invoice.invoices import domain, views
from services.invoice.invoices import issuing_store as store
from services.invoice.invoices.domain import Invoice
from services.invoice.invoices.drafts import (
    InvoiceDraft,
    KeptApart,
    PricedDraft,
    TaxNumberMissing,
    price_draft,
    today_at,
)

Issued = list[tuple[Invoice, PricedDraft]]
Clients = Mapping[UUID, Client]
_TAKEN = "another invoice has this external id"


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
    attributes.note(invoice_id=answer.id, number=answer.number)
    assert key is not None, "claimed above"
    await _save(tx, caller, issued, clients, key, msgspec.json.encode(answer))
    return answer


@dataclass(frozen=True, slots=True)
class New:
    """An invoice that has its number and is not saved yet."""

    issued: Issued
    clients: Clients

    @property
    def id(self) -> UUID:
        return self.issued[0][0].id

    @property
    def draft(self) -> PricedDraft:
        return self.issued[0][1]


async def price_new(tx: Connection, clinic_id: UUID, given: InvoiceDraft, now: datetime) -> PricedDraft:
    """An invoice of a larger act as it would be issued then. Raises what `issue_invoice` does, but of the key."""
    clinic, clients = await _clinic_and_clients(tx, clinic_id, {given.client_id})
    draft = _check(given, clinic, clients, now)
    if draft.external_id is not None:
        _take(draft.external_id, await store.list_external_ids(tx, clinic_id, {draft.external_id}))
    return draft


async def number_new(tx: Connection, clinic_id: UUID, given: InvoiceDraft, now: datetime) -> New:
    """Check and number an invoice of a larger act. Raises what `issue_invoice` does, but of the key."""
    clinic, clients = await _clinic_and_clients(tx, clinic_id, {given.client_id})
    return New(await _number(tx, clinic, [_check(given, clinic, clients, now)], now), clients)


async def save_new(tx: Connection, caller: Caller | None, new: New) -> None:
    """Save and publish it. Without a caller the audit log gets no entry. Raises `ExternalIdTaken`."""
    try:
        await execute(tx, *_saving(caller, new.issued, new.clients))
    except asyncpg.UniqueViolationError as taken:
        raise _named(taken) from None


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
    named = {each.external_id for each in given if each.external_id is not None}
    taken = await store.list_external_ids(tx, caller.clinic, named) if named else set()
    issued = await _number(tx, clinic, _check_all(given, clinic, clients, taken, now), now)
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
    start = clinic.number_start
    starts = {start.year: start.number} if start else {}
    counts = Counter([draft.issued_on.year for draft in drafts])
    first = await store.allocate_numbers(tx, clinic.id, counts, starts)
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

    The audit entries' hashes leave out to whom an invoice is addressed, which may be erased. Raises `ExternalIdTaken`.
    """
    try:
        await execute(tx, idempotency.keeping(caller.clinic, key, answer), *_saving(caller, issued, clients))
    except asyncpg.UniqueViolationError as taken:
        raise _named(taken) from None


def _named(taken: asyncpg.UniqueViolationError) -> Exception:
    """The refusal of an external id that another invoice has; another error as it is."""
    if taken.constraint_name != "invoices_external_id":
        return taken
    return ExternalIdTaken(_TAKEN, field="external_id")


def _saving(caller: Caller | None, issued: Issued, clients: Clients) -> list[Statement]:
    hashed = [(invoice.id, (invoice, replace(draft, kept_apart=KeptApart()))) for invoice, draft in issued]
    return [
        *([audit.recording_new(caller, "issue_invoice", hashed)] if caller else []),
        outbox.adding((domain.created_event(invoice, _sums(draft)), None) for invoice, draft in issued),
        store.insert_identities(issued, clients),
        store.insert_lines(issued),
        store.insert_invoices(issued),
    ]


def _sums(draft: PricedDraft) -> Sums:
    totals = draft.totals
    taxes = [(group.rate.code, group.rate.percent, group.base, group.tax) for group in totals.groups]
    return domain.sums_of(draft.currency, totals.subtotal, totals.tax, totals.rounding, taxes)


def _check(given: InvoiceDraft, clinic: Clinic, clients: Clients, now: datetime) -> PricedDraft:
    """The draft with its totals. Raises `ClientNotFound` and the errors of `price_draft`; the first names all."""
    refusals = Refusals()
    draft = refusals.of(None, price_draft, given, clinic, now)
    if given.client_id not in clients:
        refusals.add(ClientNotFound("the clinic has no client with this id", field="client_id"))
    refusals.check()
    assert draft is not None, "nothing was refused"
    if draft.buyer_owes_tax and not (clinic.tax_number and clients[given.client_id].tax_number):
        raise TaxNumberMissing("the client owes the tax: both need a tax number", field="client_id")
    return draft


def _check_all(
    given: Sequence[InvoiceDraft], clinic: Clinic, clients: Clients, taken: set[str], now: datetime
) -> list[PricedDraft]:
    """The drafts with their totals; `taken` has the external ids that other invoices have. Raises `InvoicesRefused`."""
    drafts: list[PricedDraft] = []
    refusals: list[dict[str, Any]] = []
    taken = set(taken)
    for position, each in enumerate(given):
        try:
            draft = _check(each, clinic, clients, now)
            drafts.append(draft)
            if draft.external_id is not None:
                _take(draft.external_id, taken)
        except DomainError as refused:
            refusals += [
                {"position": position, "code": one.code, "detail": one.detail, **_place(position, one)}
                for one in refused.every
            ]
    if refusals:
        raise InvoicesRefused("None was issued: some cannot be. `errors` says which.", errors=refusals)
    return drafts


def _take(external_id: str, taken: set[str]) -> None:
    """Add the id to those of the clinic's invoices. Raises `ExternalIdTaken`."""
    if external_id in taken:
        raise ExternalIdTaken(_TAKEN, field="external_id")
    taken.add(external_id)


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
        number=domain.invoice_number(clinic.number_prefix, draft.issued_on.year, sequence),
        status=domain.first_status(draft.totals.total),
        currency=draft.currency,
        total_amount=draft.totals.total,
        issued_on=draft.issued_on,
        due_on=draft.due_on,
        seller=seller_of(clinic),
        locale=clinic.locale,
        time_zone=clinic.time_zone,
        changed_at=now,
        paid_at=None if draft.totals.total else now,
    )
