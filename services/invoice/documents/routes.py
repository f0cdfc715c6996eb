"""Corrections of issued invoices over HTTP."""

from typing import Any
from uuid import UUID

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, RawBody

from contracts.http.documents import CorrectedOut, CorrectionIn, CreditNoteIn, ReplacedOut, VoidIn, WriteOffIn
from contracts.http.held import HeldActOut, PreviewOut
from services.chassis.db.database import Connection
from services.chassis.held.domain import HeldAct
from services.chassis.holding import held_out
from services.chassis.http.auth import Caller, staff
from services.invoice.documents import held, schemas
from services.invoice.invoices.routes import IdempotencyKey


@post("/invoices/{invoice_id:uuid}/void", guards=[staff])
async def void_invoice(
    invoice_id: FromPath[UUID],
    data: JSONBody[VoidIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    idempotency_key: IdempotencyKey = None,
) -> Response[CorrectedOut | HeldActOut]:
    """Cancel an invoice that nobody has paid. 409 `invoice_already_paid` or `payment_processing`: credit it instead.

    202 with a held act in a clinic with `undo_hours`; 409 `act_held` while another one is held for the invoice.
    """
    return _answer(
        await held.request_document(
            tx, caller, invoice_id, schemas.void_request(data), key=idempotency_key, body=body
        )
    )


@post("/invoices/{invoice_id:uuid}/credit-notes", guards=[staff])
async def credit_invoice(
    invoice_id: FromPath[UUID],
    data: JSONBody[CreditNoteIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    idempotency_key: IdempotencyKey = None,
) -> Response[CorrectedOut | HeldActOut]:
    """Issue a credit note: lines, a sum at a tax, or all that is left. Money paid above the rest becomes credit.

    202 with a held act in a clinic with `undo_hours`; 409 `act_held`.
    """
    return _answer(
        await held.request_document(
            tx, caller, invoice_id, schemas.credit_request(data), key=idempotency_key, body=body
        )
    )


@post("/invoices/{invoice_id:uuid}/write-off", guards=[staff])
async def write_off_invoice(
    invoice_id: FromPath[UUID],
    data: JSONBody[WriteOffIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    idempotency_key: IdempotencyKey = None,
) -> Response[CorrectedOut | HeldActOut]:
    """No longer ask for what is due, or a part of it.

    202 with a held act in a clinic with `undo_hours`; 409 `act_held`.
    """
    return _answer(
        await held.request_document(
            tx, caller, invoice_id, schemas.write_off_request(data), key=idempotency_key, body=body
        )
    )


@post("/invoices/{invoice_id:uuid}/correct", guards=[staff])
async def correct_invoice(
    invoice_id: FromPath[UUID],
    data: JSONBody[CorrectionIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    idempotency_key: IdempotencyKey = None,
) -> Response[ReplacedOut | HeldActOut]:
    """Credit all that is left of an invoice, and issue another in its place: both or neither.

    202 with a held act in a clinic with `undo_hours`; 409 `act_held`.
    """
    return _answer(
        await held.request_document(
            tx, caller, invoice_id, schemas.replace_request(data), key=idempotency_key, body=body
        )
    )


@post("/invoices/{invoice_id:uuid}/void/preview", guards=[staff], status_code=200)
async def preview_void(
    invoice_id: FromPath[UUID],
    data: JSONBody[VoidIn],
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
) -> PreviewOut:
    """The effect that the same call without `/preview` would have now. It changes nothing, and is refused alike."""
    return await held.show_document(tx, caller.clinic, invoice_id, schemas.void_request(data))


@post("/invoices/{invoice_id:uuid}/credit-notes/preview", guards=[staff], status_code=200)
async def preview_credit_note(
    invoice_id: FromPath[UUID],
    data: JSONBody[CreditNoteIn],
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
) -> PreviewOut:
    """The effect that the same call without `/preview` would have now. It changes nothing, and is refused alike."""
    return await held.show_document(tx, caller.clinic, invoice_id, schemas.credit_request(data))


@post("/invoices/{invoice_id:uuid}/write-off/preview", guards=[staff], status_code=200)
async def preview_write_off(
    invoice_id: FromPath[UUID],
    data: JSONBody[WriteOffIn],
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
) -> PreviewOut:
    """The effect that the same call without `/preview` would have now. It changes nothing, and is refused alike."""
    return await held.show_document(tx, caller.clinic, invoice_id, schemas.write_off_request(data))


@post("/invoices/{invoice_id:uuid}/correct/preview", guards=[staff], status_code=200)
async def preview_correction(
    invoice_id: FromPath[UUID],
    data: JSONBody[CorrectionIn],
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
) -> PreviewOut:
    """The effect that the same call without `/preview` would have now. It changes nothing, and is refused alike."""
    return await held.show_document(tx, caller.clinic, invoice_id, schemas.replace_request(data))


def _answer(made: CorrectedOut | HeldAct) -> Response[Any]:
    if isinstance(made, HeldAct):
        return Response(held_out(made), status_code=202)
    return Response(made, status_code=201)


ALL: list[Any] = [
    void_invoice,
    credit_invoice,
    write_off_invoice,
    correct_invoice,
    preview_void,
    preview_credit_note,
    preview_write_off,
    preview_correction,
]
