"""The words for states: the same word, shape and colour on every page."""

from dataclasses import dataclass
from typing import Literal

from contracts.http.invoices import InvoiceItem, InvoiceOut
from contracts.http.payments import PaymentOut
from contracts.vocabulary import STARTABLE_PAYMENTS, is_payable

Shape = Literal["ring", "half", "arrow", "check", "back", "cross", "clock", "info"]
Tone = Literal["plain", "wait", "good", "quiet", "late"]


@dataclass(frozen=True)
class Status:
    """A word, the shape beside it, and the tone that colours both."""

    word: str
    shape: Shape
    tone: Tone


UNPAID = Status("Unpaid", "ring", "plain")
PART_PAID = Status("Part paid", "half", "plain")
ON_ITS_WAY = Status("On its way", "arrow", "wait")
PAID = Status("Paid", "check", "good")
REFUNDED = Status("Refunded", "back", "quiet")
CREDITED = Status("Credited", "back", "quiet")
WRITTEN_OFF = Status("Closed", "check", "quiet")
"""For an invoice whose rest the clinic gave up: its client has nothing to do."""
VOID = Status("Cancelled", "cross", "quiet")
OVERDUE = Status("Overdue", "clock", "late")
BEING_CHECKED = Status("Being checked", "info", "wait")
NOT_PAID = Status("Not paid", "ring", "plain")
NOT_FINISHED = Status("Not finished", "ring", "plain")
TAKEN_BACK = Status("Taken back", "back", "quiet")
"""For a payment that the clinic recorded, and took back: it pays nothing."""
WAITING = Status("Waiting for an answer", "clock", "wait")
"""For a payment that was started, while Stripe cannot be asked whether more has happened."""
BEING_UPDATED = Status("Being updated", "info", "wait")
"""For a status of a newer service, which this program does not know."""

OF_INVOICE = {
    "unpaid": UNPAID,
    "part_paid": PART_PAID,
    "processing": ON_ITS_WAY,
    "paid": PAID,
    "refunded": REFUNDED,
    "credited": CREDITED,
    "written_off": WRITTEN_OFF,
    "void": VOID,
}
OF_PAYMENT = {
    "created": NOT_FINISHED,
    "requires_action": NOT_FINISHED,
    "processing": ON_ITS_WAY,
    "succeeded": PAID,
    "failed": NOT_PAID,
    "canceled": NOT_PAID,
}


def of_invoice(invoice: InvoiceItem) -> Status:
    """The invoice's state; that it is being checked is said first, and money on its way before lateness."""
    if invoice.being_checked:
        return BEING_CHECKED
    if on_its_way(invoice):
        return ON_ITS_WAY
    if invoice.overdue and is_payable(invoice.status):
        return OVERDUE
    return OF_INVOICE.get(invoice.status, BEING_UPDATED)


def on_its_way(invoice: InvoiceItem) -> bool:
    """Whether a payment has been made that the bank has not yet confirmed."""
    return invoice.status == "processing" or (isinstance(invoice, InvoiceOut) and invoice.processing)


def of_payment(payment: PaymentOut) -> Status:
    if not payment.asked and payment.status in STARTABLE_PAYMENTS:
        return WAITING
    if payment.reversed_at is not None:
        return TAKEN_BACK
    return OF_PAYMENT.get(payment.status, BEING_UPDATED)
