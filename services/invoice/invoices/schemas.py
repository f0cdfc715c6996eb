"""From the bodies in `contracts.http.invoices` to the domain's values. Answers are made in `views`."""

from msgspec import UNSET, UnsetType, convert

from contracts.http.invoices import DiscountIn, InvoiceIn, LineIn
from services.invoice.checks import Price
from services.invoice.invoices.drafts import Appointment, DiscountDraft, InvoiceDraft, LineDraft


def draft_of(body: InvoiceIn) -> InvoiceDraft:
    return InvoiceDraft(
        client_id=body.client_id,
        due_on=body.due_on,
        lines=tuple([_line_of(line) for line in body.lines]),
        currency=body.currency or None,
        issued_on=body.issued_on or None,
        note=body.note or "",
        prices=body.prices or None,
        discount=_discount_of(body.discount or None),
        insurer_reference=body.insurer_reference or "",
        location=body.location or "",
        external_id=_given(body.external_id),
        metadata={} if body.metadata is UNSET else body.metadata,
    )


def _line_of(line: LineIn) -> LineDraft:
    return LineDraft(
        service=line.service,
        practitioner=line.practitioner,
        appointment=convert(line.appointment, Appointment | None, from_attributes=True),
        quantity=line.quantity,
        unit_price=convert(line.unit_price, Price, from_attributes=True),
        tax_code=_given(line.tax_code),
        tax_codes=None if line.tax_codes is UNSET else tuple(line.tax_codes),
        discount=_discount_of(line.discount or None),
    )


def _discount_of(discount: DiscountIn | None) -> DiscountDraft | None:
    if discount is None:
        return None
    return DiscountDraft(
        amount=convert(discount.amount, Price, from_attributes=True) if discount.amount else None,
        percent=_given(discount.percent),
        reason=discount.reason,
    )


def _given(text: str | UnsetType) -> str | None:
    return None if text is UNSET else text
