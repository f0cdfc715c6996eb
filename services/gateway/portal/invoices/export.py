"""A list of invoices as a table for spreadsheets: RFC 4180, in UTF-8."""

import csv
import re
from collections.abc import Sequence
from io import StringIO

from contracts.http.clinics import ClinicOut
from contracts.http.common import Money
from contracts.http.invoices import InvoiceItem
from services.chassis.locale.money import plain
from services.gateway.portal import statuses
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.methods import views as methods

COLUMNS = (
    "Invoice", "Issued on", "Due on", "Status", "Service", "Currency", "Total", "Paid", "Credited", "Refunded", "Due",
    "Payment method", "Last paid on",
)  # fmt: skip
_BYTE_ORDER_MARK = "\ufeff"
"""Spreadsheets take a file without it for one of an old encoding."""
_FORMULA = re.compile(r"(^|[,;|\t\r\n])(?=[\s\u200b-\u200f\u2060\ufeff]*[=+\-@\t\r＝＋－＠])")
"""The place before a formula: at the beginning, and behind any separator that a spreadsheet may use instead of ours."""


def table(found: Sequence[InvoiceItem], clinic: ClinicOut) -> str:
    """A row for each invoice; days as ISO writes them, amounts as plain decimals."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(_row(each, clinic) for each in found)
    return _BYTE_ORDER_MARK + text.getvalue()


def _row(invoice: InvoiceItem, clinic: ClinicOut) -> list[str]:
    write = invoices.formats(invoice, clinic)
    sums = (invoice.total, invoice.settled, invoice.credited, invoice.refunded, invoice.due)
    return [
        _text(invoice.number),
        invoice.issued_on.isoformat(),
        invoice.due_on.isoformat(),
        statuses.of_invoice(invoice).word,
        _text(invoice.service_summary),
        invoice.currency,
        *(_amount(each, invoice.currency) for each in sums),
        _text(methods.used(invoice.paid_with)),
        write.local(invoice.paid_at).date().isoformat() if invoice.paid_at else "",
    ]


def _amount(amount: Money | None, currency: str) -> str:
    return plain(amount.minor if amount else 0, currency)


def _text(given: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return _FORMULA.sub(r"\1'", given)
