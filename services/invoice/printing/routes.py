"""Documents as PDF. Who may read an invoice may read its documents."""

import hashlib
from datetime import date
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter

from contracts.http.invoices import DocumentOut, InvoiceOut
from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.invoice.invoices import actions
from services.invoice.printing import cii, paper, printer, statements
from services.invoice.printing.paper import Paper
from services.invoice.printing.printer import Printer

PDF, XML = "application/pdf", "application/xml"
NOTIFICATION = "notification"
"""It attaches documents to e-mails, and reads each as the client to whom it writes."""
Known = Annotated[str | None, HeaderParameter(name="If-None-Match", required=False, max_length=400)]


@get("/invoices/{invoice_id:uuid}/pdf", media_type=PDF, opt={"other_caller": NOTIFICATION})
async def print_invoice(
    invoice_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    printer: NamedDependency[Printer],
    if_none_match: Known = None,
) -> Response[bytes]:
    """The invoice as it was issued. 304 for a reader that has it; another client's is not found."""
    found = await _found(db, caller, invoice_id)
    return await _printed(paper.invoice(found), printer, caller, if_none_match)


@get("/invoices/{invoice_id:uuid}/receipt", media_type=PDF, opt={"other_caller": NOTIFICATION})
async def print_receipt(
    invoice_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    printer: NamedDependency[Printer],
    payment_id: FromQuery[UUID | None] = None,
    if_none_match: Known = None,
) -> Response[bytes]:
    """The payments of the invoice so far, and the money that went back. 409 `nothing_paid` before the first payment.

    With `payment_id` also before this payment is booked.
    """
    found = await _found(db, caller, invoice_id)
    if payment_id is not None and all(each.payment_id != payment_id for each in found.movements):
        raise paper.NothingPaid("This payment is not booked on the invoice yet.")
    return await _printed(paper.receipt(found), printer, caller, if_none_match)


@get(
    "/invoices/{invoice_id:uuid}/credit-notes/{document_id:uuid}/pdf",
    media_type=PDF,
    opt={"other_caller": NOTIFICATION},
)
async def print_credit_note(
    invoice_id: FromPath[UUID],
    document_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    printer: NamedDependency[Printer],
    if_none_match: Known = None,
) -> Response[bytes]:
    """A credit note of the invoice as it was issued. 404 `credit_note_not_found`."""
    found = await _found(db, caller, invoice_id)
    return await _printed(
        paper.credit_note(found, _credit_note(found, document_id)), printer, caller, if_none_match
    )


@get("/invoices/{invoice_id:uuid}/xml", media_type=XML)
async def write_invoice(
    invoice_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_none_match: Known = None,
) -> Response[bytes]:
    """The invoice as an e-invoice (EN 16931, CII): the XML that its PDF holds. 409 `no_e_invoice`."""
    found = await _found(db, caller, invoice_id)
    return _written(cii.invoice(found), paper.invoice(found), if_none_match)


@get("/invoices/{invoice_id:uuid}/credit-notes/{document_id:uuid}/xml", media_type=XML)
async def write_credit_note(
    invoice_id: FromPath[UUID],
    document_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_none_match: Known = None,
) -> Response[bytes]:
    """A credit note of the invoice, in the same way. 404 `credit_note_not_found`, 409 `no_e_invoice`."""
    found = await _found(db, caller, invoice_id)
    document = _credit_note(found, document_id)
    return _written(cii.credit_note(found, document), paper.credit_note(found, document), if_none_match)


@get("/clients/{client_id:uuid}/statement", media_type=PDF)
async def print_statement(
    client_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    printer: NamedDependency[Printer],
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
    if_none_match: Known = None,
) -> Response[bytes]:
    """A client's invoices of some days and the money that moved in them, as they are now. Clients see their own alone.

    Without days: this year until today. 422 `days_out_of_order`, `statement_too_long`.
    """
    async with db.tx(caller.clinic) as tx:
        found = await statements.get_statement(tx, caller, client_id, since, until)
    return await _printed(paper.statement(found), printer, caller, if_none_match)


async def _found(db: Database, caller: Caller, invoice_id: UUID) -> InvoiceOut:
    """Read in a transaction that ends before anything is printed."""
    async with db.tx(caller.clinic) as tx:
        return await actions.get_invoice(tx, caller, invoice_id)


class CreditNoteNotFound(DomainError):
    code = "credit_note_not_found"
    status = 404


def _credit_note(found: InvoiceOut, document_id: UUID) -> DocumentOut:
    for document in found.documents:
        if document.id == document_id and document.kind == "credit_note":
            return document
    raise CreditNoteNotFound("the invoice has no credit note with this id")


async def _printed(made: Paper, press: Printer, caller: Caller, known: str | None) -> Response[bytes]:
    """The document, which its reader keeps for itself and asks about again each time."""
    tag = printer.etag(made)
    if known is not None and _is_among(tag, known):
        return _unchanged(tag, PDF)
    return _file(await press.print(made, caller.clinic), tag, f"{made.file_name}.pdf", PDF)


def _written(xml: str, made: Paper, known: str | None) -> Response[bytes]:
    """The document for programs, named as its PDF is."""
    content = xml.encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    if known is not None and _is_among(tag, known):
        return _unchanged(tag, XML)
    return _file(content, tag, f"{made.file_name}.xml", XML)


def _unchanged(tag: str, media_type: str) -> Response[bytes]:
    return Response(b"", status_code=304, headers=_kept(tag), media_type=media_type)


def _file(content: bytes, tag: str, name: str, media_type: str) -> Response[bytes]:
    plain = "".join(each if each.isascii() and (each.isalnum() or each in "-._") else "-" for each in name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return Response(
        content, headers={**_kept(tag), "Content-Disposition": disposition}, media_type=media_type
    )


def _kept(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": "private, no-cache"}


def _is_among(tag: str, known: str) -> bool:
    """Whether a reader has it, by the `If-None-Match` that the reader sends."""
    return known.strip() == "*" or tag in {each.strip().removeprefix("W/") for each in known.split(",")}


ALL: list[Any] = [
    print_invoice,
    print_receipt,
    print_credit_note,
    write_invoice,
    write_credit_note,
    print_statement,
]
