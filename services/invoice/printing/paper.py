"""Issued documents as they are printed: every text of the page, and nothing that changes after the issue. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from contracts.events.payment import receipt_number
from contracts.http import shown
from contracts.http.common import Money
from contracts.http.invoices import (
    BillTo,
    DocumentOut,
    EInvoice,
    InvoiceOut,
    InvoiceRow,
    LineOut,
    MovementOut,
    Seller,
)
from contracts.http.shown import BilledView, Sum
from contracts.vocabulary import method_name
from services.chassis.errors import DomainError
from services.chassis.locale.formats import Amount, Formats
from services.chassis.locale.money import written
from services.invoice.printing import cii

_NO_FONT = frozenset({"ETB am", "CNY ja", "KHR km", "XOF si", "LKR si", "MVR dv"})
"""Currencies whose sign, in a language, has a letter that no font of ours has."""


class Written(Formats):
    """The document's formats, with the code of a currency whose sign no font has."""

    def money(self, amount: Amount) -> str:
        by_code = f"{amount.currency} {self.locale.language}" in _NO_FONT
        return written(amount.minor, amount.currency, self.locale, by_code=by_code)


@dataclass(frozen=True)
class Party:
    """The seller or the buyer; a buyer whose identity is erased has no name."""

    label: str
    name: str
    lines: list[str]


@dataclass(frozen=True)
class Fact:
    label: str
    value: str


@dataclass(frozen=True)
class Headline:
    """The amount that the document is about."""

    label: str
    words: str
    amount: str


@dataclass(frozen=True)
class Item:
    """A row of a table: its first cell has a head and small lines below it."""

    head: str
    details: list[str]
    cells: list[str]


@dataclass(frozen=True)
class Total:
    """A line below a table; `strong` is not empty for the one that sums up the others."""

    label: str
    amount: str
    strong: str

    @classmethod
    def of(cls, part: Sum) -> "Total":
        return cls(part.label, part.amount, "strong" if part.strong else "")


@dataclass(frozen=True)
class Section:
    heading: str
    columns: list[str]
    rows: list[Item]
    sums: list[Total]


@dataclass(frozen=True)
class Paper:
    """A document as `paper.typ` lays it out, every value a text. `made_at` is the document's time, as PDF has it."""

    title: str
    kind: str
    number: str
    language: str
    region: str
    seller: Party
    buyer: Party
    facts: list[Fact]
    headline: Headline
    sections: list[Section]
    notes: list[list[str]]
    foot: str
    file_name: str
    made_at: str = field(metadata={"unit": "seconds since 1970, in decimal digits"})
    e_invoice: str = ""
    """The XML that is embedded; empty for a document that is no e-invoice."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A movement of money, with the number of its invoice."""

    movement: MovementOut
    number: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A client's invoices of some days and the money that moved within them, in the order of their days.

    Clinic and client are as they are `today`. `earlier` is what is due now of invoices that were issued before `since`,
    by currency.
    """

    seller: Seller
    client: BillTo
    locale: str
    time_zone: str
    since: date
    until: date
    today: date
    invoices: Sequence[InvoiceRow]
    moved: Sequence[Moved]
    earlier: Sequence[Money]


class NothingPaid(DomainError):
    code = "nothing_paid"
    status = 409


def invoice(found: InvoiceOut) -> Paper:
    """The invoice as it was issued, without what has been paid or corrected since."""
    write = Written.of(found)
    return _paper(
        "Invoice",
        found.number,
        write,
        _seller(found),
        shown.billed(found.bill_to, write),
        facts=[
            Fact("Issued on", write.day(found.issued_on)),
            Fact("Due by", write.day(found.due_on)),
            *[Fact(label, value) for label, value in shown.references(found)],
        ],
        headline=Headline("Invoice total", f"Due by {write.day(found.due_on)}", write.money(found.total)),
        sections=[_services(found, write)],
        notes=[
            found.note,
            shown.replaces_words(found.corrects.number) if found.corrects else "",
            _times(found, write),
        ],
        made_on=found.issued_on,
        e_invoice=cii.invoice(found) if _is_one(found.e_invoice) else "",
    )


def receipt(found: InvoiceOut) -> Paper:
    """The payments of the invoice, the money that went back, and the rest that is due.

    Raises `NothingPaid` before the first payment.

    It is the same until money moves or the invoice is corrected.
    """
    write = Written.of(found)
    if not found.movements:
        raise NothingPaid("Nothing has been paid of this invoice, so there is no receipt.")
    last = max(map(shown.paid_at, found.movements))
    return _paper(
        "Receipt",
        found.number,
        write,
        _seller(found),
        shown.billed(found.bill_to, write),
        facts=[
            Fact("Invoice", found.number),
            Fact("Issued on", write.day(found.issued_on)),
            *[Fact(label, value) for label, value in shown.references(found)],
        ],
        headline=Headline("Total paid", _refunded(found, write), write.money(found.settled)),
        sections=[
            _services(found, write),
            Section(
                "Payments on this invoice",
                ["Payment", "Reference", "Amount"],
                [_movement(movement, write) for movement in found.movements],
                [Total.of(part) for part in shown.paid_so_far(found, write)],
            ),
        ],
        notes=[_times(found, write)],
        made_on=write.local(last).date(),
    )


def _refunded(found: InvoiceOut, write: Written) -> str:
    return f"{write.money(found.refunded)} of it was refunded" if found.refunded else ""


def _movement(movement: MovementOut, write: Written) -> Item:
    used = movement.method
    method = method_name(used.kind, used.brand, used.last4) if used and movement.kind != "credit" else ""
    details = [write.day_of(shown.paid_at(movement)), method]
    return Item(
        shown.moved(movement),
        [each for each in details if each],
        [receipt_number(movement.payment_id), write.money(movement.amount)],
    )


def credit_note(found: InvoiceOut, document: DocumentOut) -> Paper:
    """A credit note of the invoice as it was issued."""
    write, number = Written.of(document), document.number or ""
    services = [
        Item(line.service, [], [shown.quantity(line, write), write.money(line.net)])
        for line in document.lines
    ]
    return _paper(
        "Credit note",
        number,
        write,
        document.seller,
        shown.billed(found.bill_to, write),
        facts=[
            Fact("Issued on", write.day(document.issued_on)),
            Fact("Takes off invoice", found.number),
            Fact("Invoice issued on", write.day(found.issued_on)),
            *[Fact(label, value) for label, value in shown.references(found)],
        ],
        headline=Headline("Total credited", shown.reason(document), write.money(document.total)),
        sections=[
            Section(
                "",
                ["Service", "Quantity", "Before tax"],
                services,
                [Total.of(part) for part in shown.credited_sums(document, write)],
            )
        ],
        notes=[
            document.explanation,
            f"Invoice {document.new_invoice.number} takes its place." if document.new_invoice else "",
        ],
        made_on=document.issued_on,
        e_invoice=cii.credit_note(found, document) if _is_one(document.e_invoice) else "",
    )


def _is_one(state: EInvoice | None) -> bool:
    return state is not None and state.available


def statement(found: Statement) -> Paper:
    """The client's invoices of some days and the money that moved in them, as they are today."""
    write = Written.of(found)
    currencies = sorted(
        {each.currency for each in found.invoices}
        | {each.movement.amount.currency for each in found.moved}
        | {each.currency for each in found.earlier}
    )
    due = {currency: _due(found, currency) for currency in currencies}
    return _paper(
        "Statement",
        f"{write.day(found.since)} to {write.day(found.until)}",
        write,
        found.seller,
        shown.billed(found.client, write),
        facts=[Fact("As of", write.day(found.today))],
        headline=Headline(
            "To pay" if any(due.values()) else "Nothing to pay",
            f"Of all invoices issued until {write.day(found.until)}",
            "\n".join(write.money(Money(minor, currency)) for currency, minor in due.items() if minor),
        ),
        sections=[section for currency in currencies for section in _account(found, currency, write)],
        notes=[
            "" if currencies else "There was no invoice and no payment in these days.",
            f"Credit and deposits that {found.seller.name} keeps for you are not part of this statement.",
        ],
        made_on=found.today,
    )


def _due(found: Statement, currency: str) -> int:
    earlier = sum(each.minor for each in found.earlier if each.currency == currency)
    return earlier + sum(each.due.minor for each in found.invoices if each.currency == currency)


def _account(found: Statement, currency: str, write: Written) -> list[Section]:
    """The invoices in one currency, and its payments."""
    issued = [each for each in found.invoices if each.currency == currency]
    moved = [each for each in found.moved if each.movement.amount.currency == currency]
    due, earlier = (
        _due(found, currency),
        sum(each.minor for each in found.earlier if each.currency == currency),
    )

    def money(minor: int) -> str:
        return write.money(Money(minor, currency))

    sums = [
        Total("Invoiced", money(sum(each.total.minor for each in issued)), ""),
        Total("Taken off", money(sum(map(_taken_off, issued))), ""),
        Total("Paid", money(sum(each.settled.minor for each in issued)), ""),
        Total("To pay of earlier invoices", money(earlier), ""),
        Total("To pay", money(due), "strong"),
    ]
    left_out = {"Taken off": not any(map(_taken_off, issued)), "To pay of earlier invoices": not earlier}
    sections = [
        Section(
            f"Invoices in {currency}",
            ["Invoice", "Total", "Taken off", "Paid", "To pay"],
            [_issued(each, write) for each in issued],
            [part for part in sums if not left_out.get(part.label)],
        )
    ]
    if moved:
        sections.append(
            Section(
                f"Payments in {currency}",
                ["Payment", "Invoice", "Reference", "Amount"],
                [_moved(each, write) for each in moved],
                [Total("Total", money(sum(each.movement.amount.minor for each in moved)), "strong")],
            )
        )
    return sections


def _taken_off(row: InvoiceRow) -> int:
    """The sum that credit notes, a write-off or the invoice's end took off its total."""
    if row.status == "void":
        return row.total.minor
    return sum(part.minor for part in (row.credited, row.written_off) if part)


def _issued(row: InvoiceRow, write: Written) -> Item:
    details = [
        write.day(row.issued_on),
        row.service_summary,
        f"Due by {write.day(row.due_on)}" if row.due.minor else "",
        "A payment is on its way" if row.status == "processing" else "",
        "Void" if row.status == "void" else "",
        f"{write.money(row.refunded)} was refunded" if row.refunded else "",
    ]
    amounts = (row.total, Money(_taken_off(row), row.currency), row.settled, row.due)
    return Item(row.number, [each for each in details if each], [write.money(each) for each in amounts])


def _moved(moved: Moved, write: Written) -> Item:
    item = _movement(moved.movement, write)
    return Item(item.head, item.details, [moved.number, *item.cells])


def _seller(found: InvoiceOut) -> Seller:
    assert found.seller is not None, "the service has it of every invoice"
    return found.seller


def _services(found: InvoiceOut, write: Written) -> Section:
    return Section(
        "",
        ["Service", "Quantity", "Price", "Tax", "Amount"],
        [_item(line, write) for line in found.lines],
        [Total.of(part) for part in shown.made_up(found, write)],
    )


def _times(found: InvoiceOut, write: Written) -> str:
    timed = any(line.appointment for line in found.lines)
    return shown.times_words(write.zone_name()) if timed else ""


def _item(line: LineOut, write: Written) -> Item:
    seen = line.appointment
    details = [
        f"Employee: {line.practitioner}" if line.practitioner else "",
        f"Appointment: {write.moment(seen.starts_at)}" if seen else "",
        f"Place: {seen.place}" if seen and seen.place else "",
        f"Discount: {shown.discounted(line.discount, write)}" if line.discount else "",
    ]
    return Item(
        line.service,
        [each for each in details if each],
        [
            shown.quantity(line, write),
            write.money(line.unit_price),
            "\n".join(shown.taxes_of(line, write)),
            write.money(shown.amount(line)),
        ],
    )


def _paper(
    kind: str,
    number: str,
    write: Written,
    seller: Seller,
    buyer: BilledView | None,
    *,
    facts: list[Fact],
    headline: Headline,
    sections: list[Section],
    notes: Sequence[str],
    made_on: date,
    e_invoice: str = "",
) -> Paper:
    title = f"{kind} {number}"
    return Paper(
        title=title,
        kind=kind,
        number=number,
        language="en",
        region=_country(write.locale.territory),
        seller=Party("", seller.name, shown.reached(seller)),
        buyer=Party("For", buyer.name, shown.envelope(buyer)) if buyer else Party("", "", []),
        facts=facts,
        headline=headline,
        sections=sections,
        notes=[note.splitlines() for note in notes if note.strip()],
        foot=f"{seller.name} · {title}",
        file_name=title,
        made_at=str(int(datetime.combine(made_on, time(), UTC).timestamp())),
        e_invoice=e_invoice,
    )


def _country(territory: str | None) -> str:
    """The country for the document's language; none for a region such as Latin America (`419`)."""
    return territory if territory and len(territory) == 2 else ""
