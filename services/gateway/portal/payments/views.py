"""The payment page and the result page."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.currencies import takes
from contracts.declines import decline
from contracts.events.payment import receipt_number
from contracts.http.clinics import ClinicOut
from contracts.http.common import Money
from contracts.http.invoices import InvoiceOut, Seller
from contracts.http.methods import SavedMethodOut
from contracts.http.payments import PaymentOut
from services.chassis.locale.formats import Formats
from services.chassis.locale.money import to_stripe
from services.gateway.portal import statuses
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.invoices.views import BilledView, LineView, RowView, Sum
from services.gateway.portal.methods import views as methods
from services.gateway.portal.methods.views import SavedView
from services.gateway.portal.statuses import Status


@dataclass(frozen=True)
class PayView:
    """The ways to pay one invoice. `minor` is the amount that the page shows and the client agrees to."""

    row: RowView
    amount: str
    minor: int
    stripe_amount: int
    """The same in Stripe's minor units, for its form."""
    currency: str
    saved: list[SavedView]
    card: bool
    redirect: bool
    back: str


@dataclass(frozen=True)
class PaidInvoice:
    """An invoice of a payment, with what an insurer wants to know. `amount` is what the payment paid of it."""

    number: str
    href: str
    issued: str
    amount: str
    lines: list[LineView]
    sums: list[Sum]


@dataclass(frozen=True)
class ResultView:
    """The result of a payment: paid with its receipt, on its way, or not paid and why."""

    id: str
    outcome: str
    status: Status
    title: str
    message: str
    amount: str
    receipt_number: str
    day: str
    method: str
    invoices: list[PaidInvoice]
    surplus: str
    invoice: str
    seller: Seller
    bill_to: BilledView | None
    again: str
    spoken: str
    version: int
    state: str


def pay(found: InvoiceOut, kept: Sequence[SavedMethodOut], clinic: ClinicOut) -> PayView:
    shown = invoices.row(found, clinic)
    ways = invoices.ways(found, clinic)
    stripe_amount = to_stripe(found.due.minor, found.due.currency)
    assert stripe_amount is not None, "only what can be charged has ways to pay it"
    return PayView(
        row=shown,
        amount=shown.due,
        minor=found.due.minor,
        stripe_amount=stripe_amount,
        currency=found.due.currency,
        saved=methods.saved(_usable(kept, found.due)) if "card" in ways else [],
        card="card" in ways,
        redirect="redirect" in ways,
        back=f"{shown.href}/details",
    )


def _usable(kept: Sequence[SavedMethodOut], due: Money) -> list[SavedMethodOut]:
    """Saved cards whose brand takes this amount in this currency."""
    able = (method for method in kept if not method.expired)
    return [method for method in able if takes("card", due.minor, due.currency, method.brand)]


def result(payment: PaymentOut, paid: Sequence[InvoiceOut], clinic: ClinicOut) -> ResultView:
    """The result, written as the newest of its invoices is: a receipt of years ago reads as it did then."""
    newest = max(paid, key=lambda invoice: invoice.id)
    write = invoices.formats(newest, clinic)
    outcome, title, message = _outcome(payment, write.money(payment.amount))
    status = statuses.of_payment(payment)
    invoice = f"/c/{clinic.slug}/invoices/{payment.invoices[0].invoice_id}"
    return ResultView(
        id=str(payment.id),
        outcome=outcome,
        status=status,
        title=title,
        message=message,
        amount=write.money(payment.amount),
        receipt_number=receipt_number(payment.id),
        day=write.day_of(payment.succeeded_at or payment.created_at),
        method=methods.used(payment.method),
        invoices=_paid(payment, paid, clinic, write),
        surplus=write.money(payment.surplus) if payment.surplus and payment.surplus.minor else "",
        invoice=invoice,
        again=f"{invoice}/pay",
        seller=invoices.seller(newest, clinic),
        bill_to=invoices.billed(newest.bill_to),
        spoken=title,
        version=payment.version,
        state=payment.status,
    )


def why_not_paid(payment: PaymentOut) -> str:
    """Why a payment failed and what to do next; never the bank's own code. No money was taken in any of these cases."""
    code, method = payment.failure.code if payment.failure else None, payment.method
    return f"{decline(code, method.kind if method else None)} No money was taken."


def _outcome(payment: PaymentOut, amount: str) -> tuple[str, str, str]:
    if payment.status == "succeeded":
        return "paid", f"Paid: {amount}", "Thank you. Your receipt is below, and on its way to you by e-mail."
    status = statuses.of_payment(payment)
    if status is statuses.WAITING:
        return (
            "waiting",
            "Waiting for an answer",
            "We do not know yet whether your payment went through. This page changes by itself.",
        )
    if status is statuses.NOT_FINISHED:
        return (
            "not_finished",
            "Not finished",
            "You have started this payment and not finished it. No money was taken.",
        )
    if payment.status == "failed":
        return "not_paid", "Not paid", why_not_paid(payment)
    if payment.status == "canceled":
        return "not_paid", "Not paid", "This payment was cancelled. No money was taken."
    if payment.taken:
        return (
            "waiting",
            "On its way",
            "Your payment went through. We are writing your receipt, and this page changes by itself.",
        )
    if payment.status == "processing":
        return (
            "on_its_way",
            "On its way",
            (
                "Your bank is working on the payment. That can take a few days. "
                "We e-mail you when it has arrived; you do not need to do anything."
            ),
        )
    return (
        "on_its_way",
        "Being updated",
        "This payment is being updated. Please look again in a few minutes; do not pay a second time.",
    )


def _paid(
    payment: PaymentOut, paid: Sequence[InvoiceOut], clinic: ClinicOut, write: Formats
) -> list[PaidInvoice]:
    found = {invoice.id: invoices.invoice(invoice, clinic) for invoice in paid}
    return [
        PaidInvoice(
            number=shown.row.number,
            href=shown.row.href,
            issued=shown.row.issued,
            amount=write.money(part.amount),
            lines=shown.lines,
            sums=shown.made_up,
        )
        for part in payment.invoices
        if (shown := found.get(part.invoice_id))
    ]
