"""Corrections of invoices as acts that a clinic's `undo_hours` hold (ADR 0037).

While one is held, no other document is made of its invoice. Payments go on: when it is due it is planned again.
"""

from datetime import timedelta
from functools import partial
from typing import get_args
from uuid import UUID

import msgspec
from msgspec import UNSET

from contracts.http.common import Money
from contracts.http.documents import CorrectedOut, ReplacedOut
from contracts.http.held import (
    InvoiceAfter,
    PlannedDocument,
    PlannedInvoice,
    PlannedLine,
    PlannedTax,
    PreviewOut,
)
from contracts.vocabulary import DocumentKind
from services.chassis import clock, idempotency
from services.chassis.db.database import Connection
from services.chassis.held import actions as held
from services.chassis.held import store as held_acts
from services.chassis.held.domain import Act, HeldAct, Preview, Wanted
from services.chassis.holding import preview_of
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.invoice import checks
from services.invoice.documents import actions
from services.invoice.documents.domain import EffectChanged, Plan, Planned, ReplaceRequest, Request
from services.invoice.invoices.domain import due_amount
from services.invoice.invoices.drafts import PricedDraft
from services.invoice.invoices.totals import TaxRate

_EMAILS: dict[DocumentKind, list[str]] = {
    "void": ["invoice_voided"],
    "credit_note": ["credit_note"],
    "write_off": [],
}
"""The kinds of e-mails to the client. A write-off is the clinic's own affair."""


async def request_document(
    tx: Connection, caller: Caller, invoice_id: UUID, request: Request, *, key: str | None, body: bytes
) -> CorrectedOut | HeldAct:
    """Void an invoice, credit it, write it off or replace it, under an idempotency key; in a clinic with `undo_hours`,
    hold that.

    Raises what `actions.make_document` raises, and the errors of `idempotency.claim`.
    """
    earlier = await idempotency.claim(tx, caller.clinic, key, actions.named(request, invoice_id, body))
    if earlier is not None:
        return await _earlier(tx, caller, request, earlier)
    assert key is not None, "claimed"
    clinic = await actions.get_clinic(tx, caller.clinic)
    if not clinic.undo_hours:
        return await actions.make_document(tx, caller, clinic, invoice_id, request, key=key)
    wanted = Wanted(new_id(), caller, invoice_id, msgspec.to_builtins(request))
    made = await held.hold(tx, _ACT_OF[request.kind], wanted, timedelta(hours=clinic.undo_hours))
    await actions.check_dates(tx, clinic, request)
    await idempotency.keep(tx, caller.clinic, key, msgspec.json.encode(made.id))
    return made


async def show_document(tx: Connection, clinic_id: UUID, invoice_id: UUID, request: Request) -> PreviewOut:
    """The effect that the request would have now. Raises what `request_document` raises, but of the key."""
    clinic = await actions.get_clinic(tx, clinic_id)
    planned = await actions.preview_document(tx, clinic_id, invoice_id, request)
    await actions.check_dates(tx, clinic, request)
    return _shown(planned)


async def _earlier(tx: Connection, caller: Caller, request: Request, answer: bytes) -> CorrectedOut | HeldAct:
    """The answer that was given to the key before; an act as it is by now."""
    done = ReplacedOut if isinstance(request, ReplaceRequest) else CorrectedOut
    made: CorrectedOut | UUID = msgspec.json.decode(answer, type=done | UUID)
    if isinstance(made, CorrectedOut):
        return made
    act = await held_acts.get(tx, caller.clinic, made)
    assert act is not None, "held acts outlive keys"
    return act


async def _preview(kind: type[Request], tx: Connection, wanted: Wanted) -> Preview:
    request = msgspec.convert(wanted.request, kind)
    planned = await actions.preview_document(
        tx, wanted.clinic_id, wanted.subject_id, request, act_id=wanted.id
    )
    return preview_of(_shown(planned))


async def _reserve(tx: Connection, wanted: Wanted, _: Preview) -> None:
    """One that a person does after all has its row already: `_do` locks the invoice, after the counters of numbers."""
    if await held_acts.get(tx, wanted.clinic_id, wanted.id) is None:
        await actions.reserve_invoice(tx, wanted.clinic_id, wanted.subject_id)


async def _do(kind: type[Request], tx: Connection, wanted: Wanted, preview: Preview) -> UUID:
    """Raises `EffectChanged` when the invoice was changed after the preview, which locks nothing."""
    clinic = await actions.get_clinic(tx, wanted.clinic_id)
    request = msgspec.convert(wanted.request, kind)
    made, planned = await actions.commit_document(
        tx, clinic, wanted.subject_id, request, clock.now(), act_id=wanted.id
    )
    if preview_of(_shown(planned)).hash != preview.hash:
        raise EffectChanged("The invoice was changed a moment ago.")
    return made.id


async def _release(_: Connection, __: Wanted) -> None:
    """The row of the held act is the reservation, and it ends."""


_ACT_OF = {
    request.kind: Act(request.kind, partial(_preview, request), _reserve, partial(_do, request), _release)
    for request in get_args(Request)
}
ACTS = tuple(_ACT_OF.values())


def _shown(planned: Planned) -> PreviewOut:
    plan, after, new = planned.plan, planned.after, planned.new
    due = due_amount(after.status, after.due_before_payments, after.settled_amount)
    kept = after.settled_amount - after.refunded_amount - after.disputed_amount

    def money(minor: int) -> Money:
        return Money(minor, after.currency)

    return PreviewOut(
        document=_document(plan, after.currency),
        new_invoice=_invoice(new) if new else UNSET,
        invoices=[
            InvoiceAfter(
                invoice_id=after.id,
                status=after.status,
                due=money(due),
                refunded=money(after.refunded_amount),
                becomes_credit=money(max(0, kept - after.due_before_payments)),
            )
        ],
        emails=[*_EMAILS[plan.kind], *(["invoice_ready"] if new and new.totals.total else [])],
    )


def _invoice(new: PricedDraft) -> PlannedInvoice:
    def money(minor: int) -> Money:
        return Money(minor, new.currency)

    totals = new.totals
    return PlannedInvoice(
        client_id=new.client_id,
        due_on=new.due_on,
        net=money(totals.subtotal),
        tax=money(totals.tax),
        rounding=money(totals.rounding),
        total=money(totals.total),
        taxes=[_tax(group.rate, money(group.base), money(group.tax)) for group in totals.groups],
        lines=[
            PlannedLine(
                position=position,
                quantity=checks.plain(line.item.quantity),
                net=money(line.totals.net),
                tax=money(line.totals.tax),
            )
            for position, line in enumerate(new.lines, start=1)
        ],
    )


def _document(plan: Plan, currency: str) -> PlannedDocument:
    def money(minor: int) -> Money:
        return Money(minor, currency)

    return PlannedDocument(
        kind=plan.kind,
        reason=plan.reason,
        net=money(plan.net),
        tax=money(plan.tax),
        rounding=money(plan.rounding),
        total=money(plan.total),
        taxes=[
            _tax(rate, money(part.net), money(tax))
            for part in plan.parts
            for rate, tax in zip(part.rates, part.taxes, strict=True)
        ],
        lines=[
            PlannedLine(
                position=line.position,
                quantity=checks.plain(line.quantity),
                net=money(line.part.net),
                tax=money(sum(line.part.taxes)),
            )
            for line in plan.lines
        ],
    )


def _tax(rate: TaxRate, base: Money, tax: Money) -> PlannedTax:
    return PlannedTax(code=rate.code, percent=checks.plain(rate.percent), base=base, tax=tax)
