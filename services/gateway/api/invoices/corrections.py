"""Corrections of issued invoices over the public API."""

from uuid import UUID

from litestar import Response, post
from litestar.params import FromPath, JSONBody

from contracts.http.documents import CorrectedOut, CreditNoteIn, ReplacedOut, VoidIn, WriteOffIn
from contracts.http.held import PreviewOut
from services.gateway.api.held.schemas import HELD, made_or_held
from services.gateway.api.invoices.schemas import Replacement
from services.gateway.api.keys.dependencies import CurrentKey, at_clinic
from services.gateway.api.schemas import IdempotencyKey
from services.gateway.upstream.services import InjectedUpstreams

INVOICE = "/clinics/{clinic_id:uuid}/invoices/{invoice_id:uuid}"


@post(f"{INVOICE}/void", summary="Void an invoice", responses=HELD)
async def void_invoice(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    data: JSONBody[VoidIn],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> Response[CorrectedOut]:
    """Cancels an invoice on which nothing was paid.

    409 `invoice_already_paid`, `payment_processing`, `invoice_being_checked` and `invoice_already_corrected` name the
    way forward in `instead`: a credit note. 409 `invoice_void` for one that is void, `act_held` (`held_act_id`) while
    another act is held for it.
    """
    return made_or_held(
        await upstreams.void_invoice(at_clinic(key, clinic_id), invoice_id, data, idempotency_key)
    )


@post(f"{INVOICE}/credit-notes", summary="Credit an invoice", responses=HELD)
async def create_credit_note(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    data: JSONBody[CreditNoteIn],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> Response[CorrectedOut]:
    """A numbered credit note over lines, an amount at a tax, or the rest. Money paid above what is then due becomes the
    client's credit.

    409 `credit_too_large` (`left` is what is left), `nothing_left_to_credit`, `invoice_void`, `act_held`. 422
    `line_not_found`, `invalid_credit`, `explanation_needed`.
    """
    return made_or_held(
        await upstreams.credit_invoice(at_clinic(key, clinic_id), invoice_id, data, idempotency_key)
    )


@post(f"{INVOICE}/write-off", summary="Write an invoice off", responses=HELD)
async def write_off_invoice(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    data: JSONBody[WriteOffIn],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> Response[CorrectedOut]:
    """No longer asks for what is due, or for a part of it.

    409 `write_off_too_large` (`left` is what is due), `nothing_due`, `payment_processing`, `invoice_void`, `act_held`.
    """
    return made_or_held(
        await upstreams.write_off_invoice(at_clinic(key, clinic_id), invoice_id, data, idempotency_key)
    )


@post(f"{INVOICE}/correct", summary="Replace an invoice", responses=HELD)
async def correct_invoice(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    data: JSONBody[Replacement],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> Response[ReplacedOut]:
    """Credits all that is left of an invoice and issues another in its place: both or neither.

    It is refused for all that a credit note or a new invoice is refused for. Where it is held, the new invoice is
    issued at `due_at`, and its due date is not before that day.
    """
    return made_or_held(
        await upstreams.correct_invoice(at_clinic(key, clinic_id), invoice_id, data, idempotency_key)
    )


@post(f"{INVOICE}/void/preview", summary="Preview a void", status_code=200)
async def preview_void(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    data: JSONBody[VoidIn],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
) -> PreviewOut:
    """The effect that voiding the invoice would have now. It changes nothing, and is refused as the act is."""
    return await upstreams.preview_document(at_clinic(key, clinic_id), invoice_id, "void", data)


@post(f"{INVOICE}/credit-notes/preview", summary="Preview a credit note", status_code=200)
async def preview_credit_note(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    data: JSONBody[CreditNoteIn],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
) -> PreviewOut:
    """The effect that the credit note would have now. It changes nothing, and is refused as the act is."""
    return await upstreams.preview_document(at_clinic(key, clinic_id), invoice_id, "credit-notes", data)


@post(f"{INVOICE}/write-off/preview", summary="Preview a write-off", status_code=200)
async def preview_write_off(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    data: JSONBody[WriteOffIn],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
) -> PreviewOut:
    """The effect that the write-off would have now. It changes nothing, and is refused as the act is."""
    return await upstreams.preview_document(at_clinic(key, clinic_id), invoice_id, "write-off", data)


@post(f"{INVOICE}/correct/preview", summary="Preview a replacement", status_code=200)
async def preview_correction(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    data: JSONBody[Replacement],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
) -> PreviewOut:
    """The effect that replacing the invoice would have now. It changes nothing, and is refused as the act is."""
    return await upstreams.preview_document(at_clinic(key, clinic_id), invoice_id, "correct", data)


correction_routes = [
    void_invoice,
    create_credit_note,
    write_off_invoice,
    correct_invoice,
    preview_void,
    preview_credit_note,
    preview_write_off,
    preview_correction,
]
