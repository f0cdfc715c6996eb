"""From the bodies in `contracts.http.documents` to the domain's values. Answers are made in `invoices.views`."""

from msgspec import UNSET

from contracts.http.common import Money
from contracts.http.documents import CorrectionIn, CreditedLineIn, CreditNoteIn, VoidIn, WriteOffIn
from services.invoice.checks import Price
from services.invoice.documents.domain import (
    CreditedLine,
    CreditRequest,
    InvalidCredit,
    ReplaceRequest,
    VoidRequest,
    WriteOffRequest,
)
from services.invoice.invoices.schemas import draft_of


def void_request(body: VoidIn) -> VoidRequest:
    return VoidRequest(reason=body.reason, explanation=body.explanation)


def credit_request(body: CreditNoteIn) -> CreditRequest:
    """Raises `InvalidCredit` for a tax that is named twice."""
    codes = None if body.tax_codes is UNSET else tuple(body.tax_codes)
    if body.tax_code is not UNSET:
        if codes is not None:
            raise InvalidCredit("Send tax_code or tax_codes, not both.", field="tax_codes")
        codes = (body.tax_code,)
    return CreditRequest(
        reason=body.reason,
        explanation=body.explanation,
        lines=None if body.lines is UNSET else tuple([_line(line) for line in body.lines]),
        amount=None if body.amount is UNSET else _price(body.amount),
        tax_codes=codes,
    )


def write_off_request(body: WriteOffIn) -> WriteOffRequest:
    return WriteOffRequest(
        reason=body.reason,
        explanation=body.explanation,
        amount=None if body.amount is UNSET else _price(body.amount),
    )


def replace_request(body: CorrectionIn) -> ReplaceRequest:
    return ReplaceRequest(reason=body.reason, explanation=body.explanation, invoice=draft_of(body.invoice))


def _line(line: CreditedLineIn) -> CreditedLine:
    return CreditedLine(line.position, None if line.quantity is UNSET else line.quantity)


def _price(amount: Money) -> Price:
    return Price(amount.minor, amount.currency)
