"""Invoices as pages show them, with amounts and dates in the clinic's format."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.currencies import CURRENCIES
from contracts.http import shown
from contracts.http.clinics import ClinicOut
from contracts.http.common import Money
from contracts.http.invoices import (
    DocumentOut,
    InvoiceItem,
    InvoiceLink,
    InvoiceOut,
    LineOut,
    MovementOut,
    Seller,
    Summary,
)
from contracts.http.shown import BilledView, Sum
from contracts.vocabulary import (
    ACCEPTED_METHODS,
    COUNTED_MOVEMENTS,
    AcceptedMethod,
    is_open,
    is_payable,
)
from services.chassis.locale.formats import Formats
from services.gateway.portal import statuses
from services.gateway.portal.methods import views as methods
from services.gateway.portal.statuses import Status

_SPOKEN = {
    "Unpaid": "is unpaid",
    "Overdue": "is overdue",
    "Part paid": "is part paid",
    "On its way": "has a payment on its way",
    "Being checked": "is being checked",
    "Being updated": "is being updated",
    "Paid": "is paid",
    "Refunded": "is refunded",
    "Credited": "is credited",
    "Closed": "is closed",
    "Cancelled": "is cancelled",
}
_TOO: dict[str | None, str] = {
    "below_minimum": "Amounts below {least} cannot be paid by card or online.",
    "above_maximum": "At most {most} can be paid at once by card or online.",
    "between_steps": "Amounts paid by card or online are multiples of {step}.",
    "currency_not_accepted": "This currency cannot be paid by card or online.",
}
CHECKED_WORDS = (
    "A payment of this invoice is being checked. The clinic knows. You do not need to pay anything now."
)
WITH_YOUR_BANK = "of this was taken back through your bank. You do not need to pay anything now."
DUE_AGAIN = "A payment was taken back through your bank, so this is to be paid again."
NOTHING_DUE = {
    "refunded": "This payment was returned to you.",
    "credited": "The clinic has credited this invoice. There is nothing to pay.",
    "written_off": "The clinic has closed this invoice. There is nothing to pay.",
}
CORRECTED = {"void": "Cancelled", "write_off": "No longer asked for"}


@dataclass(frozen=True)
class RowView:
    """An invoice in a list. `left` is the amount still due when a part is paid; `spoken` is for screen readers."""

    id: str
    href: str
    number: str
    summary: str
    issued: str
    issued_iso: str
    due_on: str
    total: str
    due: str
    left: str
    status: Status
    method: str
    spoken: str
    version: int
    state: str
    open: bool
    payable: bool
    not_online: str


@dataclass(frozen=True)
class LineView:
    service: str
    practitioner: str
    when: str
    when_iso: str
    detail: str
    """Who gave the service and when, on one line."""
    place: str
    quantity: str
    discount: str
    taxes: list[str]
    amount: str
    """After the line's own discount, in the invoice's prices."""


@dataclass(frozen=True)
class MovementView:
    day: str
    label: str
    method: str
    amount: str
    receipt: str


@dataclass(frozen=True)
class DocumentView:
    """A correction as the client reads it. `lines` are the services that a credit note names; `href` leads to it."""

    label: str
    day: str
    reason: str
    explanation: str
    amount: str
    href: str
    lines: list[Sum]
    sums: list[Sum]
    seller: Seller
    replaced_by: "LinkView | None"
    pdf: str
    """The address of a credit note as a file; empty for other corrections."""
    xml: str
    """The same as an e-invoice; empty where it is none."""


@dataclass(frozen=True)
class LinkView:
    number: str
    href: str


@dataclass(frozen=True)
class InvoiceView:
    """One invoice with all its details. `row` is its row in lists."""

    row: RowView
    headline: str
    headline_amount: str
    timing: str
    sums: list[Sum]
    made_up: list[Sum]
    """How the total adds up, whatever has been paid of it."""
    lines: list[LineView]
    movements: list[MovementView]
    note: str
    references: list[tuple[str, str]]
    """The place and the insurer's reference that the document shows, each with its label."""
    zone_words: str
    seller: Seller
    bill_to: BilledView | None
    documents: list[DocumentView]
    replaces: LinkView | None
    xml: str
    """The address of the e-invoice; empty where it is none."""

    @property
    def credit_notes(self) -> list[DocumentView]:
        return [document for document in self.documents if document.href]


@dataclass(frozen=True)
class SummaryView:
    """The sums due, one for each currency, and the next step."""

    owed: list[str]
    currencies: list[str]
    words: str
    """How many invoices are unpaid, and how many of them overdue."""
    unpaid: int
    overdue: int
    checked: int
    next: RowView | None
    last_paid: RowView | None
    credit: str
    """The client's credit, in each currency; empty without."""


def formats(invoice: InvoiceItem, clinic: ClinicOut) -> Formats:
    """How the document writes sums and days: as when it was issued, whatever the clinic's settings are now."""
    return Formats.of(invoice if invoice.locale and invoice.time_zone else clinic)


def seller(invoice: InvoiceOut | None, clinic: ClinicOut) -> Seller:
    """The clinic as the document names it. The clinic of today only for what is of no invoice, and while an earlier
    invoice service answers."""
    contact = clinic.contact
    return (invoice.seller if invoice else None) or Seller(
        name=clinic.name, address=contact.address, phone=contact.phone, email=contact.email
    )


def row(invoice: InvoiceItem, clinic: ClinicOut) -> RowView:
    write = formats(invoice, clinic)
    status = statuses.of_invoice(invoice)
    partly = 0 < invoice.due.minor < invoice.total.minor and not invoice.being_checked
    return RowView(
        id=str(invoice.id),
        href=f"/c/{clinic.slug}/invoices/{invoice.id}",
        number=invoice.number,
        summary=invoice.service_summary or "",
        issued=write.short_day(invoice.issued_on),
        issued_iso=invoice.issued_on.isoformat(),
        due_on=write.short_day(invoice.due_on),
        total=write.money(invoice.total),
        due=write.money(invoice.due),
        left=write.money(invoice.due) if partly else "",
        status=status,
        method=_method(invoice, clinic),
        spoken=f"Invoice {invoice.number} {_SPOKEN[status.word]}",
        version=invoice.version,
        state=invoice.status,
        open=is_due(invoice),
        payable=payable(invoice, clinic),
        not_online=not_online(invoice, clinic),
    )


def payable(invoice: InvoiceItem, clinic: ClinicOut) -> bool:
    """Whether the Pay button is shown: something is due, and the clinic takes it online."""
    return is_due(invoice) and bool(ways(invoice, clinic))


def ways(invoice: InvoiceItem, clinic: ClinicOut) -> list[str]:
    """The ways to pay this invoice online now; none when the clinic or its account takes no payments."""
    taken = ways_of(clinic, invoice.currency)
    return [kind for kind in invoice.methods if kind in taken]


def ways_of(clinic: ClinicOut, currency: str) -> set[AcceptedMethod]:
    """The ways to pay that the clinic takes online. A debit is offered in the clinic's own currency alone: its account
    can debit in that."""
    taken = set(ACCEPTED_METHODS) & set(clinic.methods) if clinic.online_payment else set()
    return taken if currency == clinic.currency else taken - {"debit"}


def not_online(invoice: InvoiceItem, clinic: ClinicOut) -> str:
    """Why an open invoice cannot be paid in the portal, in words for its client; empty when it can."""
    if not is_due(invoice) or ways(invoice, clinic):
        return ""
    why = _TOO if clinic.online_payment else {}
    words = why.get(invoice.online_charge, "{clinic} does not take payments in this portal.")
    return words.format(clinic=clinic.name, **_limits(invoice, clinic))


def _limits(invoice: InvoiceItem, clinic: ClinicOut) -> dict[str, str]:
    known = CURRENCIES.get(invoice.currency)
    limits = {"least": known.minimum, "most": known.card_maximum, "step": known.step} if known else {}
    write = formats(invoice, clinic)
    return {name: write.money(Money(minor, invoice.currency)) for name, minor in limits.items()}


def invoice(found: InvoiceOut, clinic: ClinicOut) -> InvoiceView:
    write = formats(found, clinic)
    headline, amount = _headline(found)
    made_up = shown.made_up(found, write)
    return InvoiceView(
        row=row(found, clinic),
        headline=headline,
        headline_amount=write.money(amount),
        timing=_timing(found, write),
        sums=made_up + shown.paid_so_far(found, write),
        made_up=made_up,
        lines=[_line(line, write) for line in found.lines],
        movements=[_movement(movement, clinic, write) for movement in found.movements],
        note=found.note or "",
        references=shown.references(found),
        zone_words=shown.times_words(write.zone_name()),
        seller=seller(found, clinic),
        bill_to=shown.billed(found.bill_to, write),
        documents=[_document(document, clinic, write) for document in found.documents],
        replaces=_link(found.corrects, clinic),
        xml=f"/c/{clinic.slug}/invoices/{found.id}/xml"
        if found.e_invoice and found.e_invoice.available
        else "",
    )


def sums_alone(found: InvoiceOut, clinic: ClinicOut) -> list[Sum]:
    """The total, and what has been credited and paid of it, without what it is for; empty where one of them is all."""
    write = formats(found, clinic)
    if found.total in (found.due, found.settled):
        return []
    taken_off = shown.paid_so_far(found, write)
    return [Sum("Total", write.money(found.total)), *taken_off] if taken_off else []


def summary(found: Summary, clinic: ClinicOut, held: Sequence[Money] = ()) -> SummaryView:
    write = Formats.of(clinic)
    return SummaryView(
        owed=[write.money(amount) for amount in found.due if amount.minor > 0],
        currencies=[amount.currency for amount in found.due if amount.minor > 0],
        words=_unpaid_words(found),
        unpaid=found.unpaid_count,
        overdue=found.overdue_count,
        checked=found.checked_count,
        next=row(found.next, clinic) if found.next else None,
        last_paid=row(found.last_paid, clinic) if found.last_paid else None,
        credit=" and ".join(write.money(each) for each in held),
    )


def _unpaid_words(found: Summary) -> str:
    if found.unpaid_count == 1:
        return "1 invoice, overdue" if found.overdue_count else "1 unpaid invoice"
    late = f", {found.overdue_count} of them overdue" if found.overdue_count else ""
    return f"{found.unpaid_count} unpaid invoices{late}"


def is_due(invoice: InvoiceItem) -> bool:
    """Whether something is due, no payment is processing, and the invoice is not being checked."""
    owed = is_payable(invoice.status) and invoice.due.minor > 0
    return owed and not invoice.being_checked and not statuses.on_its_way(invoice)


def _method(invoice: InvoiceItem, clinic: ClinicOut) -> str:
    if invoice.paid_with:
        return methods.used(invoice.paid_with)
    if not is_payable(invoice.status) or invoice.being_checked:
        return ""
    return methods.accepted(ways(invoice, clinic)) or "Ask the clinic"


def _headline(invoice: InvoiceOut) -> tuple[str, Money]:
    status = statuses.of_invoice(invoice)
    if invoice.total.minor == 0 or status in (
        statuses.BEING_CHECKED,
        statuses.BEING_UPDATED,
        statuses.ON_ITS_WAY,
    ):
        return "Invoice total", invoice.total
    if invoice.due.minor > 0 and is_open(invoice.status):
        return "Total amount due", invoice.due
    if invoice.status == "paid":
        return "Total paid", invoice.settled
    return "Invoice total", invoice.total


def _timing(invoice: InvoiceOut, write: Formats) -> str:
    due_on = write.day(invoice.due_on)
    if invoice.being_checked:
        return CHECKED_WORDS
    if statuses.on_its_way(invoice):
        return "A payment is on its way. This page changes by itself when it has arrived."
    if invoice.status == "paid" and invoice.total.minor == 0:
        return "There is nothing to pay."
    if invoice.status == "paid":
        return _paid_words(invoice, write)
    if invoice.status == "void":
        return "This invoice was cancelled. There is nothing to pay."
    if invoice.status in NOTHING_DUE:
        return NOTHING_DUE[invoice.status]
    if statuses.of_invoice(invoice) is statuses.BEING_UPDATED:
        return "This invoice is being updated. Please look again in a few minutes."
    due = f"Was due on {due_on}" if invoice.overdue else f"Due by {due_on}"
    return f"{DUE_AGAIN} {due}" if _taken_for_good(invoice) else due


def _paid_words(invoice: InvoiceOut, write: Formats) -> str:
    taken = -sum(move.amount.minor for move in invoice.movements if move.kind == "dispute")
    if taken > 0:
        return f"{write.money(Money(taken, invoice.currency))} {WITH_YOUR_BANK}"
    paid = [move for move in invoice.movements if move.kind in COUNTED_MOVEMENTS and move.amount.minor > 0]
    return f"Paid on {write.day_of(shown.paid_at(paid[-1]))}" if paid else "Paid in full"


def _taken_for_good(invoice: InvoiceOut) -> bool:
    """Whether a payment is due again since the payer's bank took it back."""
    kinds = {move.kind for move in invoice.movements}
    reversed_ = sum(move.amount.minor for move in invoice.movements if move.kind == "reversal")
    return "dispute" in kinds and reversed_ < 0


def _line(line: LineOut, write: Formats) -> LineView:
    seen = line.appointment
    return LineView(
        service=line.service,
        practitioner=line.practitioner,
        when=write.moment(seen.starts_at) if seen else "",
        when_iso=write.local(seen.starts_at).isoformat() if seen else "",
        detail=", ".join(part for part in (line.practitioner, _day_of(line, write)) if part),
        place=seen.place if seen else "",
        quantity=f"{shown.quantity(line, write)} × {write.money(line.unit_price)}",
        discount=shown.discounted(line.discount, write) if line.discount else "",
        taxes=shown.taxes_of(line, write),
        amount=write.money(shown.amount(line)),
    )


def _document(document: DocumentOut, clinic: ClinicOut, write: Formats) -> DocumentView:
    credit_note = document.kind == "credit_note"
    notes = f"/c/{clinic.slug}/invoices/{document.invoice_id}/credit-notes"
    return DocumentView(
        label=f"Credit note {document.number}" if credit_note else CORRECTED.get(document.kind, "Correction"),
        day=write.short_day(document.issued_on),
        reason=shown.reason(document),
        explanation=document.explanation if document.kind != "write_off" else "",
        amount=write.money(shown.less(document.total)),
        href=notes if credit_note else "",
        lines=shown.credited_lines(document, write),
        sums=shown.credited_sums(document, write),
        seller=document.seller,
        replaced_by=_link(document.new_invoice, clinic),
        pdf=f"{notes}/{document.id}/pdf" if credit_note else "",
        xml=f"{notes}/{document.id}/xml" if document.e_invoice and document.e_invoice.available else "",
    )


def _link(found: InvoiceLink | None, clinic: ClinicOut) -> LinkView | None:
    return LinkView(found.number, f"/c/{clinic.slug}/invoices/{found.id}") if found else None


def _day_of(line: LineOut, write: Formats) -> str:
    return write.day_of(line.appointment.starts_at) if line.appointment else ""


def _movement(movement: MovementOut, clinic: ClinicOut, write: Formats) -> MovementView:
    receipt = movement.kind == "payment" and movement.payment_id
    return MovementView(
        day=write.short_day_of(shown.paid_at(movement)),
        label=shown.moved(movement),
        method="" if movement.kind == "credit" else methods.used(movement.method),
        amount=write.money(movement.amount),
        receipt=f"/c/{clinic.slug}/payments/{movement.payment_id}" if receipt else "",
    )
