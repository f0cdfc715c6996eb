"""Corrections of issued invoices: bodies of the invoice service. The answers are in `contracts.http.invoices`."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from contracts.http.common import Answer, Money, Request
from contracts.http.invoices import DocumentOut, InvoiceIn, InvoiceOut
from contracts.vocabulary import CreditReason, WriteOffReason


class VoidIn(Request, frozen=True, kw_only=True):
    """Why an invoice is void. The reason `other` needs an `explanation`, which the client sees."""

    reason: CreditReason
    explanation: str = ""


class CreditedLineIn(Request, frozen=True, kw_only=True):
    """A line to credit, by its position on the invoice. Without `quantity`, a decimal text, all that is left of it."""

    position: int
    quantity: str | UnsetType = UNSET


class CreditNoteIn(Request, frozen=True, kw_only=True):
    """A credit note over `lines`, or over an `amount` with tax at one tax of the invoice; with neither, over the rest.

    `tax_code` names the tax of the amount, `tax_codes` both taxes of lines that bear two. It may be left out when all
    lines of the invoice bear the same. The reason `other` needs an `explanation`, which the client sees.
    """

    reason: CreditReason
    explanation: str = ""
    lines: Annotated[Sequence[CreditedLineIn], Meta(min_length=1, max_length=500)] | UnsetType = UNSET
    amount: Money | UnsetType = UNSET
    tax_code: str | UnsetType = UNSET
    tax_codes: Annotated[Sequence[str], Meta(min_length=1, max_length=2)] | UnsetType = UNSET


class WriteOffIn(Request, frozen=True, kw_only=True):
    """A sum that the clinic no longer asks for: at most what is due, and all of it without `amount`."""

    reason: WriteOffReason
    explanation: str = ""
    amount: Money | UnsetType = UNSET


class CorrectionIn(Request, frozen=True, kw_only=True):
    """Credit all that is left of an invoice, and issue `invoice` in its place."""

    reason: CreditReason
    explanation: str = ""
    invoice: InvoiceIn


class CorrectedOut(Answer, frozen=True, kw_only=True):
    """The document that was made, and the invoice after it."""

    document: DocumentOut
    invoice: InvoiceOut


class ReplacedOut(CorrectedOut, frozen=True, kw_only=True):
    """A correction: also the new invoice."""

    new_invoice: InvoiceOut
