"""A pay link shows who asks for how much until when, and what was paid of it: no more of its invoice. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.events.payment import receipt_number
from contracts.http.clinics import ClinicOut
from contracts.http.invoices import InvoiceOut
from contracts.http.payments import PaymentOut
from contracts.http.shown import Sum
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.invoices.views import RowView


@dataclass(frozen=True)
class ReceiptLink:
    """A payment of the invoice alone, which has a page of its own here."""

    number: str
    day: str
    amount: str
    href: str


@dataclass(frozen=True)
class LinkView:
    """`row` is the invoice's row in lists, of which the service's name is not shown."""

    row: RowView
    issuer: str
    headline: str
    amount: str
    timing: str
    sums: list[Sum]
    explained: str
    """A sentence about its correction."""
    receipts: list[ReceiptLink]


def shown(found: InvoiceOut, clinic: ClinicOut, path: str, payments: Sequence[PaymentOut] = ()) -> LinkView:
    """`payments` are of this invoice alone, and succeeded."""
    whole = invoices.invoice(found, clinic)
    write = invoices.formats(found, clinic)
    return LinkView(
        row=whole.row,
        issuer=whole.seller.name,
        headline=whole.headline,
        amount=whole.headline_amount,
        timing=whole.timing,
        sums=invoices.sums_alone(found, clinic),
        explained=_explained(found),
        receipts=[
            ReceiptLink(
                receipt_number(payment.id),
                write.day_of(payment.succeeded_at or payment.created_at),
                write.money(payment.amount),
                f"{path}/payments/{payment.id}",
            )
            for payment in payments
        ],
    )


def _explained(found: InvoiceOut) -> str:
    if any(document.new_invoice for document in found.documents):
        return "The clinic has issued another invoice in its place."
    return ""
