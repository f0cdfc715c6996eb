"""From the bodies in `contracts.http.invoices` to the domain's values. Answers are made in `views`."""

from msgspec import convert

from contracts.http.invoices import InvoiceIn
from services.invoice.invoices.drafts import InvoiceDraft, LineDraft


def draft_of(body: InvoiceIn) -> InvoiceDraft:
    return InvoiceDraft(
        client_id=body.client_id,
        due_on=body.due_on,
        lines=convert(body.lines, tuple[LineDraft, ...], from_attributes=True),
        currency=body.currency or None,
        issued_on=body.issued_on or None,
        note=body.note or "",
    )
