"""An issued document in words and written sums: the portal's pages and the PDF say the same.

Sums, numbers and days are written by the document's own formats, which the caller brings.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from contracts.http.common import Money
from contracts.http.invoices import (
    BillTo,
    DiscountOut,
    DocumentLine,
    DocumentOut,
    InvoiceOut,
    InvoiceTax,
    LineOut,
    MovementOut,
    Seller,
)
from contracts.vocabulary import UNKNOWN

REASONS = {
    "wrong_service": "The service was not right",
    "wrong_amount": "The amount was not right",
    "wrong_client": "It was for somebody else",
    "duplicate": "It was sent twice",
    "not_given": "The service was not given",
    "goodwill": "A goodwill gesture",
}
"""Why a clinic corrected an invoice, in words for its client."""
_MOVED = {
    "payment": "Payment",
    "refund": "Refund",
    "dispute": "Taken back through your bank",
    "reversal": "Payment taken back",
    "credit": "Kept as your credit",
    UNKNOWN: "Other movement",
}
_CAME_BACK = {
    "refund": "Refund that came back",
    "dispute": "Your bank has decided",
    "reversal": "Payment counts again",
    "credit": "Paid with your credit",
}
"""The same kinds, towards the clinic."""


class Writes(Protocol):
    """How a document writes sums, numbers, days and countries."""

    def money(self, amount: Money, /) -> str: ...
    def number(self, decimals: str, /) -> str: ...
    def day(self, day: date, /) -> str: ...
    def day_of(self, moment: datetime, /) -> str: ...
    def moment(self, moment: datetime, /) -> str: ...
    def country(self, code: str, /) -> str: ...


@dataclass(frozen=True)
class Sum:
    """One part of an amount, with its label."""

    label: str
    amount: str
    strong: bool = False


@dataclass(frozen=True)
class BilledView:
    """The client whom a document is for, as an envelope has it."""

    name: str
    address: list[str]
    tax_number: str


def billed(client: BillTo | None, write: Writes) -> BilledView | None:
    """The client as the document names them; None once that is erased."""
    if client is None or client.erased:
        return None
    where = client.billing_address
    town = " ".join(part for part in (where.postcode, where.city) if part)
    lines = (*where.lines, town, write.country(where.country) if where.country else "")
    return BilledView(client.name, [line for line in lines if line], client.tax_number)


def references(invoice: InvoiceOut) -> list[tuple[str, str]]:
    """The place and the insurer's reference that the document shows, each with its label."""
    named = (("Location", invoice.location), ("Insurer's reference", invoice.insurer_reference))
    return [(label, value) for label, value in named if value]


def made_up(invoice: InvoiceOut, write: Writes) -> list[Sum]:
    """How the total adds up, whatever has been paid of it."""
    return [
        *_before_discount(invoice, write),
        Sum("Before tax", write.money(invoice.subtotal)),
        *[Sum(_tax_label(tax, write), write.money(tax.tax)) for tax in invoice.taxes],
        *([Sum("Rounding", write.money(invoice.rounding))] if invoice.rounding else []),
        Sum("Total", write.money(invoice.total), True),
    ]


def _before_discount(invoice: InvoiceOut, write: Writes) -> list[Sum]:
    """The sum of the services, where it is not the sum before tax, and the invoice's discount."""
    discount = invoice.discount
    if discount is None and invoice.prices == "net":
        return []
    services = Money(sum(amount(line).minor for line in invoice.lines), invoice.currency)
    label = "Services, tax included" if invoice.prices == "gross" else "Services, before tax"
    sums = [Sum(label, write.money(services))]
    if discount is not None:
        percent = f" {write.number(discount.percent)}%" if discount.percent else ""
        reason = f", {discount.reason}" if discount.reason else ""
        sums.append(Sum(f"Discount{percent}{reason}", write.money(less(discount.amount))))
    return sums


def _tax_label(tax: InvoiceTax, write: Writes) -> str:
    """`VAT 23% on €100.00`, and why a tax is not charged."""
    label = f"{tax.name} {write.number(tax.percent)}% on {write.money(tax.base)}"
    reason = tax.exemption_text or tax.exemption_code
    return f"{label} ({reason})" if reason else label


def paid_so_far(invoice: InvoiceOut, write: Writes) -> list[Sum]:
    """The sums that were taken off the total and paid of it, and what is left; nothing while nothing was."""
    if invoice.status == "void":
        return []
    parts = {
        "Credited": invoice.credited,
        "No longer asked for": invoice.written_off,
        "Paid so far": invoice.settled if invoice.settled.minor else None,
    }
    sums = [Sum(label, write.money(less(amount))) for label, amount in parts.items() if amount]
    if sums and not invoice.being_checked:
        sums.append(Sum("Total amount due", write.money(invoice.due), True))
    return sums


def amount(line: LineOut) -> Money:
    """The line's amount; an earlier invoice service, which knows no discounts, leaves it out."""
    return line.amount or line.net


def quantity(line: LineOut | DocumentLine, write: Writes) -> str:
    return write.number(line.quantity).replace("-", "−")


def discounted(discount: DiscountOut, write: Writes) -> str:
    """The amount that a line's discount takes off, its percent and its reason."""
    percent = f" ({write.number(discount.percent)}%)" if discount.percent else ""
    reason = f", {discount.reason}" if discount.reason else ""
    return f"{write.money(less(discount.amount))}{percent}{reason}"


def taxes_of(line: LineOut, write: Writes) -> list[str]:
    """Each tax of the line; its name where there are two."""
    if len(line.taxes) < 2:
        return [f"{write.money(line.tax)} ({write.number(line.tax_percent)}%)"]
    return [f"{tax.name} {write.money(tax.tax)} ({write.number(tax.percent)}%)" for tax in line.taxes]


def reason(document: DocumentOut) -> str:
    """Why a correction was made, for its client."""
    return REASONS.get(document.reason, "") if document.kind != "write_off" else ""


def credited_lines(document: DocumentOut, write: Writes) -> list[Sum]:
    """The services that a credit note names, before tax."""
    return [
        Sum(f"{write.number(line.quantity)} × {line.service}", write.money(line.net))
        for line in document.lines
    ]


def credited_sums(document: DocumentOut, write: Writes) -> list[Sum]:
    """How the credited amount adds up."""
    return [
        Sum("Before tax", write.money(document.net)),
        *[Sum(_tax_label(tax, write), write.money(tax.tax)) for tax in document.taxes],
        *([Sum("Rounding", write.money(document.rounding))] if document.rounding else []),
        Sum("Total credited", write.money(document.total), True),
    ]


def moved(movement: MovementOut) -> str:
    """A movement of an invoice in words for its client."""
    if movement.kind == "refund" and movement.amount.minor < 0 and movement.method is None:
        return "Refund, now your credit"
    return moved_words(movement.kind, movement.amount.minor > 0)


def moved_words(kind: str, plus: bool) -> str:
    """A kind of movement in words for its client; `plus`: towards the clinic."""
    if plus and kind in _CAME_BACK:
        return _CAME_BACK[kind]
    return _MOVED.get(kind, kind.replace("_", " ").capitalize())


def paid_at(movement: MovementOut) -> datetime:
    """When Stripe captured a payment; of another movement, when it was booked."""
    return movement.captured_at or movement.booked_at


def less(amount: Money) -> Money:
    return Money(-amount.minor, amount.currency)


def reached(seller: Seller) -> list[str]:
    """The clinic's address, tax number and how to reach it, a line each."""
    number = f"Tax number {seller.tax_number}" if seller.tax_number else ""
    contact = " · ".join(part for part in (seller.phone, seller.email) if part)
    return [line for line in (*seller.address.splitlines(), number, contact) if line]


def envelope(client: BilledView) -> list[str]:
    """The client's address and tax number, a line each."""
    return [*client.address, *([f"Tax number {client.tax_number}"] if client.tax_number else [])]


def times_words(zone: str) -> str:
    """Whose clock a document's times are on."""
    return f"Times are those of the clinic ({zone})."


def replaces_words(number: str) -> str:
    return f"It replaces invoice {number}."
