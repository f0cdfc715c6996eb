"""The steps of a payment with their times, from the facts that the services keep. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from contracts.http.contacts import ReceiptOut
from contracts.http.invoices import InvoiceOut
from contracts.http.payments import PaymentOut
from contracts.vocabulary import DEBIT_TYPES, DEBIT_WORKING_DAYS, OUTSIDE_KINDS, UNSENT_DELIVERIES
from services.chassis.locale.formats import Formats
from services.gateway.portal import statuses

State = Literal["done", "now", "next", "failed"]
SOON = timedelta(minutes=10)
"""For so long after a payment its receipt may not be known to the service that sends it."""


@dataclass(frozen=True)
class Step:
    """`when` is a time in words; empty for a step that is still to come."""

    words: str
    state: State
    when: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Steps:
    """`unsettled`: a step follows within seconds, of which the page gets no event."""

    steps: list[Step]
    unsettled: bool = False


def steps(
    payment: PaymentOut, paid: Sequence[InvoiceOut], receipt: ReceiptOut | None, write: Formats, now: datetime
) -> Steps:
    """None of a payment that was taken back: its page says when, and that it pays nothing."""
    if payment.reversed_at is not None:
        return Steps([])
    kind = payment.method.kind if payment.method else ""
    if kind == "credit":
        sent = Step("Your credit was used", "done", _at(payment.created_at, write))
    elif kind in OUTSIDE_KINDS:
        sent = Step("Recorded by the clinic", "done", _at(payment.created_at, write))
    else:
        sent = Step("Sent", "done", _at(payment.created_at, write))
    if payment.status != "succeeded":
        return Steps([sent, *_not_received(payment, write)])
    at_stripe = kind != "credit" and kind not in OUTSIDE_KINDS
    received = [Step("Received", "done", _at(payment.succeeded_at or payment.created_at, write))]
    applied = _applied(payment, paid, write)
    mailed = _receipt(payment, receipt, write, now) if kind != "credit" else []
    made = [sent, *(received if at_stripe else []), applied, *mailed]
    return Steps(made, unsettled=any(step.state == "now" for step in made))


def _not_received(payment: PaymentOut, write: Formats) -> list[Step]:
    status = statuses.of_payment(payment)
    when = _at(payment.status_at or payment.created_at, write)
    if status is statuses.NOT_PAID:
        words = "Cancelled" if payment.status == "canceled" else "Not paid"
        return [Step(words, "failed", when)]
    to_come = [
        Step("Received", "next"),
        Step(_applied_words(payment), "next"),
        Step("Receipt by e-mail", "next"),
    ]
    if payment.taken:
        return [Step("Received", "now"), *to_come[1:]]
    if status is statuses.NOT_FINISHED:
        return [Step("To be confirmed by you", "now"), *to_come]
    if payment.status == "processing":
        return [Step("Your bank is confirming it", "now", when, _expected(payment, write)), *to_come]
    return [Step("Waiting for an answer", "now"), *to_come]


def _expected(payment: PaymentOut, write: Formats) -> str:
    """The day by which a debit is usually confirmed; empty for another method."""
    currency = payment.amount.currency
    if payment.method is None or payment.method.kind not in (DEBIT_TYPES.get(currency), "debit"):
        return ""
    by = usually_by(currency, payment.created_at, write)
    return f"Usually by {by}." if by else ""


def usually_by(currency: str, sent_at: datetime, write: Formats) -> str:
    """The day by which a bank debit in this currency is usually confirmed; empty where none is known."""
    days = DEBIT_WORKING_DAYS.get(DEBIT_TYPES.get(currency, ""))
    return write.day(_working_days_after(write.local(sent_at).date(), days)) if days else ""


def _working_days_after(day: date, number: int) -> date:
    """The day so many working days later. Banks' holidays are not counted as such."""
    while number:
        day += timedelta(days=1)
        number -= day.weekday() < 5
    return day


def _applied(payment: PaymentOut, paid: Sequence[InvoiceOut], write: Formats) -> Step:
    """When the invoices have the money. A part that paid nothing of its invoice is the client's credit."""
    wanted = {part.invoice_id for part in payment.invoices if part.amount.minor or part.credit}
    if not wanted:
        return Step("Kept as your credit", "done", _at(payment.succeeded_at or payment.created_at, write))
    booked = {
        invoice.id: move.booked_at
        for invoice in paid
        for move in invoice.movements
        if move.payment_id == payment.id and move.kind in ("payment", "credit") and move.amount.minor > 0
    }
    if wanted - booked.keys():
        return Step(_applied_words(payment), "now")
    return Step(_applied_words(payment), "done", _at(max(booked[each] for each in wanted), write))


def _applied_words(payment: PaymentOut) -> str:
    if not payment.invoices:
        return "Kept as your credit"
    return "Put on the invoice" if len(payment.invoices) == 1 else f"Put on {len(payment.invoices)} invoices"


def _receipt(payment: PaymentOut, receipt: ReceiptOut | None, write: Formats, now: datetime) -> list[Step]:
    if receipt is None:
        is_new = now - (payment.succeeded_at or payment.created_at) < SOON
        return [Step("Receipt by e-mail", "now")] if is_new else []
    if receipt.state == "sent" and receipt.sent_at:
        return [Step("Receipt sent by e-mail", "done", _at(receipt.sent_at, write))]
    if receipt.state in UNSENT_DELIVERIES:
        return [Step("Receipt by e-mail", "now")]
    if receipt.state == "failed":
        return [
            Step("The e-mail with your receipt could not be delivered", "failed", detail="Print it here.")
        ]
    return []


def _at(moment: datetime, write: Formats) -> str:
    return f"{write.short_day_of(moment)}, {write.clock(moment)}"
