"""Correct issued invoices: read, plan, save, publish. Each verb takes the transaction first, and commits nothing."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from contracts.http.documents import CorrectedOut, ReplacedOut
from contracts.http.invoices import DocumentOut, InvoiceOut
from contracts.vocabulary import HeldCorrection
from services.chassis import audit, clock, idempotency
from services.chassis.db.database import Connection
from services.chassis.db.statements import execute
from services.chassis.held import store as held_acts
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.chassis.outbox import outbox
from services.chassis.refusals import within
from services.invoice.clinics import store as clinics
from services.invoice.clinics.domain import Clinic, ClinicNotFound
from services.invoice.documents import domain, store
from services.invoice.documents.domain import (
    ActHeld,
    CreditRequest,
    Document,
    Issued,
    Plan,
    Planned,
    ReplaceRequest,
    Request,
)
from services.invoice.invoices import domain as invoices
from services.invoice.invoices import issuing, reads
from services.invoice.invoices.domain import Invoice, InvoiceNotFound
from services.invoice.invoices.drafts import today_at

ACTIONS: dict[HeldCorrection, str] = {
    "credit_note": "credit_invoice",
    "write_off": "write_off_invoice",
    "void": "void_invoice",
    "replacement": "correct_invoice",
}
"""The action in the audit log of each kind of correction."""
_NEW = "invoice"
"""The member of a correction that is the invoice in the place of another one."""


async def preview_document(
    tx: Connection, clinic_id: UUID, invoice_id: UUID, request: Request, *, act_id: UUID | None = None
) -> Planned:
    """The effect that the request would have now.

    Raises `InvoiceNotFound`, `ActHeld` for another act than this one, and what `domain.plan` and of a replacement
    `issuing.price_new` raise.
    """
    now = clock.now()
    issued = _found(await store.get_issued(tx, clinic_id, invoice_id))
    await _check_free(tx, issued.invoice, act_id)
    plan = domain.plan(request, issued)
    new = None
    if isinstance(request, ReplaceRequest):
        with within(_NEW):
            new = await issuing.price_new(tx, clinic_id, request.invoice, now)
    return Planned(plan, _after(issued, plan, now), new)


async def check_dates(tx: Connection, clinic: Clinic, request: Request) -> None:
    """Refuse now what would be refused for its dates once the clinic's window has passed: it is issued on that day."""
    if clinic.undo_hours and isinstance(request, ReplaceRequest):
        then = clock.now() + timedelta(hours=clinic.undo_hours)
        with within(_NEW):
            await issuing.price_new(tx, clinic.id, request.invoice, then)


async def make_document(
    tx: Connection, caller: Caller, clinic: Clinic, invoice_id: UUID, request: Request, *, key: str
) -> CorrectedOut:
    """Void an invoice, credit it, write it off or replace it, and keep the answer under a key that is claimed.

    The answer to a replacement is a `ReplacedOut`. Raises what `preview_document` raises.
    """
    if isinstance(request, ReplaceRequest):
        # Refuse before other issuers must wait.
        await preview_document(tx, clinic.id, invoice_id, request)
    made, _ = await commit_document(tx, clinic, invoice_id, request, clock.now(), issuer=caller)
    shown = await _shown(tx, caller, invoice_id)
    answer = CorrectedOut(document=_document(shown, made.id), invoice=shown)
    if made.new_invoice_id is not None:
        new = await _shown(tx, caller, made.new_invoice_id)
        answer = ReplacedOut(document=answer.document, invoice=shown, new_invoice=new)
    await execute(
        tx,
        audit.recording_new(caller, ACTIONS[request.kind], [(made.id, made)]),
        idempotency.keeping(caller.clinic, key, msgspec.json.encode(answer)),
    )
    return answer


async def commit_document(
    tx: Connection,
    clinic: Clinic,
    invoice_id: UUID,
    request: Request,
    now: datetime,
    *,
    issuer: Caller | None = None,
    act_id: UUID | None = None,
) -> tuple[Document, Planned]:
    """Number the document, lock the invoice, plan, save and publish. The numbers are free again when this raises.

    `issuer` is who the audit log says issued the invoice that takes its place. `act_id` names the held act that is
    done: while another one is held for the invoice, this raises `ActHeld`.
    """
    today = today_at(clinic, now)
    new = number = None
    if isinstance(request, ReplaceRequest):
        with within(_NEW):
            new = await issuing.number_new(tx, clinic.id, request.invoice, now)
    if isinstance(request, CreditRequest | ReplaceRequest):
        number = domain.credit_note_number(today.year, await store.allocate_number(tx, clinic.id, today.year))
    issued = _found(await store.lock_issued(tx, clinic.id, invoice_id))
    await _check_free(tx, issued.invoice, act_id)
    plan = domain.plan(request, issued)
    document = Document(
        id=new_id(),
        number=number,
        issued_on=today,
        invoice=_after(issued, plan, now),
        plan=plan,
        new_invoice_id=new.id if new else None,
    )
    if new:
        with within(_NEW):
            await issuing.save_new(tx, issuer, new)
    await execute(tx, *store.insert_document(clinic, document), store.save_corrected(document.invoice))
    await outbox.add(tx, [(domain.document_event(document), None)])
    return document, Planned(plan, document.invoice, new.draft if new else None)


async def reserve_invoice(tx: Connection, clinic_id: UUID, invoice_id: UUID) -> None:
    """Lock the invoice for an act that will be held. Raises `ActHeld` when another one is."""
    issued = _found(await store.lock_issued(tx, clinic_id, invoice_id))
    await _check_free(tx, issued.invoice, None)


async def _check_free(tx: Connection, invoice: Invoice, act_id: UUID | None) -> None:
    for held in await held_acts.list_of(tx, ACTIONS, [(invoice.clinic_id, invoice.id)]):
        if held.id != act_id:
            raise ActHeld("A correction of this invoice is held. Undo it first.", held_act_id=str(held.id))


def _after(issued: Issued, plan: Plan, now: datetime) -> Invoice:
    return invoices.take_off(issued.invoice, plan.kind, plan.total, processing=issued.processing, at=now)


def _found(issued: Issued | None) -> Issued:
    if issued is None:
        raise InvoiceNotFound("the clinic has no invoice with this id")
    return issued


async def get_clinic(tx: Connection, clinic_id: UUID) -> Clinic:
    clinic = await clinics.get_clinic(tx, clinic_id)
    if clinic is None:
        raise ClinicNotFound("no clinic has this id")
    return clinic


async def _shown(tx: Connection, caller: Caller, invoice_id: UUID) -> InvoiceOut:
    shown = await reads.get_invoice(tx, caller.clinic, invoice_id, client_id=None)
    assert shown is not None, "locked above"
    return shown


def _document(shown: InvoiceOut, document_id: UUID) -> DocumentOut:
    return next(each for each in shown.documents if each.id == document_id)


def named(request: Request, invoice_id: UUID, body: bytes) -> bytes:
    """The body of a request with its act and its invoice, which the path has."""
    act = (
        "correct" if isinstance(request, ReplaceRequest) else type(request).__name__
    )  # as keys have it for ever
    return idempotency.named(act, invoice_id, body)
