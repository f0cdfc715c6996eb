"""Corrections of issued invoices: what may be taken off, and how it divides into net and tax. Pure.

An invoice is never edited. A document takes a sum off it, and each sum is a part of what is left: documents that take
off everything, in whatever parts, take off exactly the invoice's net, taxes and rounding.
All amounts are integer minor units of the invoice's currency.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import ClassVar, Final
from uuid import UUID

from contracts.currencies import step_of
from contracts.events.invoice import InvoiceCredited, InvoiceDocument, InvoiceVoided
from contracts.vocabulary import (
    CreditReason,
    DocumentKind,
    DocumentReason,
    HeldCorrection,
    PriceMode,
    WriteOffReason,
)
from services.chassis import texts
from services.chassis.errors import DomainError
from services.invoice import checks
from services.invoice.checks import Price
from services.invoice.invoices import domain as invoices
from services.invoice.invoices.domain import Invoice, due_amount
from services.invoice.invoices.drafts import InvoiceDraft, PricedDraft
from services.invoice.invoices.totals import TaxRate

LONGEST_EXPLANATION: Final = 500


class AlreadyVoid(DomainError):
    code = "invoice_void"


class AlreadyPaid(DomainError):
    """Money was paid, or is on its way: the way forward is a credit note."""

    code = "invoice_already_paid"


class PaymentProcessing(DomainError):
    code = "payment_processing"


class InvoiceBeingChecked(DomainError):
    code = "invoice_being_checked"


class AlreadyCorrected(DomainError):
    """It has a credit note or a write-off, so that only the rest can be credited."""

    code = "invoice_already_corrected"


class NothingLeft(DomainError):
    code = "nothing_left_to_credit"


class CreditTooLarge(DomainError):
    """More than is left of the invoice, of a line's quantity or of a tax. `left` is what is left, in minor units."""

    code = "credit_too_large"


class NothingDue(DomainError):
    code = "nothing_due"


class WriteOffTooLarge(DomainError):
    code = "write_off_too_large"


class ActHeld(DomainError):
    """A void, credit note, write-off or replacement of the invoice is held: `held_act_id`."""

    code = "act_held"


class EffectChanged(DomainError):
    """The document would not be the one that was previewed."""

    code = "effect_changed"


class LineNotFound(DomainError):
    code = "line_not_found"
    status = 422


class InvalidCredit(DomainError):
    """The request does not say which part of the invoice is meant."""

    code = "invalid_credit"
    status = 422


class ExplanationNeeded(DomainError):
    code = "explanation_needed"
    status = 422


@dataclass(frozen=True, slots=True)
class CreditedLine:
    """A line to credit as it was sent; None: all that is left of its quantity."""

    position: int
    quantity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidRequest:
    kind: ClassVar[HeldCorrection] = "void"

    reason: CreditReason
    explanation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditRequest:
    """Credit some lines, a sum at one tax, or with neither all that is left."""

    kind: ClassVar[HeldCorrection] = "credit_note"

    reason: CreditReason
    explanation: str = ""
    lines: tuple[CreditedLine, ...] | None = None
    amount: Price | None = None
    tax_codes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOffRequest:
    """Give up a part of what is due; None: all of it."""

    kind: ClassVar[HeldCorrection] = "write_off"

    reason: WriteOffReason
    explanation: str = ""
    amount: Price | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceRequest:
    """Credit all that is left, and issue another invoice in its place."""

    kind: ClassVar[HeldCorrection] = "replacement"

    reason: CreditReason
    explanation: str = ""
    invoice: InvoiceDraft

    @property
    def credit(self) -> CreditRequest:
        return CreditRequest(reason=self.reason, explanation=self.explanation)


Request = VoidRequest | CreditRequest | WriteOffRequest | ReplaceRequest


@dataclass(frozen=True, slots=True)
class Part:
    """A sum of lines that bear the same taxes: its net, and each tax in the order of the rates."""

    rates: tuple[TaxRate, ...]
    net: int
    taxes: tuple[int, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(rate.code for rate in self.rates)

    @property
    def gross(self) -> int:
        return self.net + sum(self.taxes)

    def plus(self, other: "Part", sign: int = 1) -> "Part":
        return replace(
            self,
            net=self.net + sign * other.net,
            taxes=tuple(tax + sign * more for tax, more in zip(self.taxes, other.taxes, strict=True)),
        )

    def holds(self, other: "Part") -> bool:
        """Whether the other is a part of this, in its net and in each tax."""
        return all(
            min(0, whole) <= part <= max(0, whole)
            for whole, part in zip((self.net, *self.taxes), (other.net, *other.taxes), strict=True)
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an issued invoice; `credited` is the quantity that credit notes took off."""

    position: int
    service: str
    quantity: Decimal
    part: Part
    credited: Decimal = Decimal(0)

    @property
    def left(self) -> Decimal:
        """The quantity that can be credited, above 0 also on a line that takes off."""
        return abs(self.quantity) - self.credited


@dataclass(frozen=True, slots=True)
class TakenOff:
    """A line's quantity on a credit note, and its amounts."""

    position: int
    service: str
    quantity: Decimal
    part: Part


@dataclass(frozen=True, slots=True)
class Issued:
    """An issued invoice with its lines, and with what its documents left of it."""

    invoice: Invoice
    lines: tuple[Line, ...]
    left: tuple[Part, ...]
    """By combination of taxes, in order of first use."""
    rounding_left: int
    processing: bool
    prices: PriceMode

    @property
    def total_left(self) -> int:
        return sum(part.gross for part in self.left) + self.rounding_left


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The document that a request makes. It lacks its number, its id and its date."""

    kind: DocumentKind
    reason: DocumentReason
    explanation: str
    parts: tuple[Part, ...]
    rounding: int
    lines: tuple[TakenOff, ...] = ()

    @property
    def net(self) -> int:
        return sum(part.net for part in self.parts)

    @property
    def tax(self) -> int:
        return sum(sum(part.taxes) for part in self.parts)

    @property
    def total(self) -> int:
        return self.net + self.tax + self.rounding


@dataclass(frozen=True, slots=True)
class Planned:
    """The effect of a request: the document, the invoice after it, and the invoice that takes its place."""

    plan: Plan
    after: Invoice
    new: PricedDraft | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A plan that was carried out. `invoice` is the invoice right after it."""

    id: UUID
    number: str | None
    issued_on: date
    invoice: Invoice
    plan: Plan
    new_invoice_id: UUID | None = None


def credit_note_number(year: int, sequence: int) -> str:
    """`CN-2026-000001`: the year of issue, and the count of the clinic's credit notes in it."""
    return f"CN-{year:04}-{sequence:06}"


def document_event(document: Document) -> InvoiceCredited | InvoiceVoided:
    """`invoice.credited` or `invoice.voided`: the version of the invoice that the document made."""
    made, invoice = document.plan, document.invoice
    taxes = [
        (rate.code, rate.percent, part.net, tax)
        for part in made.parts
        for rate, tax in zip(part.rates, part.taxes, strict=True)
    ]
    sums = invoices.sums_of(invoice.currency, made.net, made.tax, made.rounding, taxes)
    stated = InvoiceDocument(
        **dict(sums),
        id=document.id,
        kind=made.kind,
        number=document.number,
        reason=made.reason,
        issued_on=document.issued_on,
        new_invoice_id=document.new_invoice_id,
    )
    if made.kind == "void":
        return invoices.event_of(InvoiceVoided, invoice, document=stated)
    return invoices.event_of(InvoiceCredited, invoice, document=stated)


def plan(request: Request, issued: Issued) -> Plan:
    """The document that the request makes of the invoice as it is now.

    Raises the errors of this module, `InvalidText`, `WrongCurrency` and `AmountOutOfRange`.
    """
    explanation = texts.text(request.explanation, "explanation", most=LONGEST_EXPLANATION, multiline=True)
    if request.reason == "other" and not explanation:
        raise ExplanationNeeded("Say in words why.", field="explanation")
    if issued.invoice.status == "void":
        raise AlreadyVoid("The invoice is void, so there is nothing to take off.")
    match request:
        case VoidRequest():
            made = _void(request, issued)
        case CreditRequest():
            made = _credit(request, issued)
        case WriteOffRequest():
            made = _write_off(request, issued)
        case ReplaceRequest():
            made = _credit(request.credit, issued)
    named = tuple([part for part in made.parts if part.net or any(part.taxes)])
    return replace(made, explanation=explanation, parts=named or made.parts)


def _void(request: VoidRequest, issued: Issued) -> Plan:
    invoice = issued.invoice
    if issued.processing:
        raise PaymentProcessing("A payment is on its way. Make a credit note instead.", instead="credit_note")
    if invoice.settled_amount or invoice.refunded_amount or invoice.disputed_amount:
        raise AlreadyPaid("Money was paid on it. Make a credit note instead.", instead="credit_note")
    if invoice.being_checked:
        raise InvoiceBeingChecked(
            "A payment is being checked. Make a credit note instead.", instead="credit_note"
        )
    if invoice.credited_amount or invoice.written_off_amount:
        raise AlreadyCorrected(
            "A part was taken off already. Credit the rest instead.", instead="credit_note"
        )
    return Plan(
        kind="void", reason=request.reason, explanation="", parts=issued.left, rounding=issued.rounding_left
    )


def _credit(request: CreditRequest, issued: Issued) -> Plan:
    if issued.total_left <= 0:
        raise NothingLeft("Everything was taken off this invoice already.")
    lines: tuple[TakenOff, ...] = ()
    if request.lines is not None:
        if request.amount is not None or request.tax_codes is not None:
            raise InvalidCredit("Name lines, or an amount with its tax: not both.", field="lines")
        lines = _lines(request.lines, issued)
        parts = _fitting(_sums([line.part for line in lines]), issued)
    elif request.amount is not None:
        parts = (_sum(request.amount, request.tax_codes, issued),)
    elif request.tax_codes is not None:
        raise InvalidCredit("A tax needs an amount.", field="tax_code")
    else:
        parts = issued.left
    _check_taxes(parts, issued)
    return Plan(
        kind="credit_note",
        reason=request.reason,
        explanation="",
        parts=parts,
        rounding=_rounding(parts, issued),
        lines=lines,
    )


def _lines(given: Sequence[CreditedLine], issued: Issued) -> tuple[TakenOff, ...]:
    if len({each.position for each in given}) < len(given):
        raise InvalidCredit("Name each line once.", field="lines")
    by_position = {line.position: line for line in issued.lines}
    taken = []
    for at, each in enumerate(given):
        line = by_position.get(each.position)
        if line is None:
            raise LineNotFound("the invoice has no line at this position", field=f"lines.{at}.position")
        taken.append(_line(line, each.quantity, issued.prices, f"lines.{at}.quantity"))
    return tuple(taken)


def _line(line: Line, given: str | None, prices: PriceMode, field: str) -> TakenOff:
    """The quantity's share of the line: shares that make up the line sum to it, whatever their sizes.

    The share is that of the amount which the price makes: the net amount, or where prices are gross the gross one.
    """
    quantity = line.left if given is None else checks.decimal(given, field)
    if quantity <= 0 and given is not None:
        raise InvalidCredit("a quantity to credit is above zero", field=field)
    if quantity > line.left or quantity == 0:
        raise CreditTooLarge(
            f"{checks.plain(line.left)} is left of line {line.position}",
            field=field,
            left=checks.plain(line.left),
        )
    whole, before = _thousandths(abs(line.quantity)), _thousandths(line.credited)
    after = before + _thousandths(quantity)

    def share(amount: int) -> int:
        return nearest(amount * after, whole) - nearest(amount * before, whole)

    taxes = tuple(map(share, line.part.taxes))
    net = share(line.part.net) if prices == "net" else share(line.part.gross) - sum(taxes)
    part = Part(line.part.rates, net, taxes)
    return TakenOff(line.position, line.service, quantity, part)


def _sum(given: Price, codes: tuple[str, ...] | None, issued: Issued) -> Part:
    """A sum with tax, divided as what is left at these taxes is."""
    amount = checks.price(given, issued.invoice.currency, "amount")
    if amount == 0:
        raise InvalidCredit("an amount to credit is above zero", field="amount")
    if amount % (step := step_of(issued.invoice.currency)):
        raise InvalidCredit(f"amounts in {issued.invoice.currency} are multiples of {step}", field="amount")
    known = {part.codes: part for part in issued.left}
    if codes is None and len(known) > 1:
        raise InvalidCredit(
            "The invoice has more than one tax: name the amount's.", field="tax_code", tax_codes=sorted(known)
        )
    part = known.get(codes) if codes is not None else next(iter(known.values()), None)
    if part is None:
        raise InvalidCredit(
            "no line of the invoice bears this tax", field="tax_code", tax_codes=sorted(known)
        )
    if amount > min(part.gross, issued.total_left):
        raise _too_large(min(part.gross, issued.total_left))
    return _share(part, amount)


def _fitting(parts: Sequence[Part], issued: Issued) -> tuple[Part, ...]:
    """The same parts. Raises `CreditTooLarge` where one is more than is left at its taxes."""
    left = {part.codes: part for part in issued.left}
    for part in parts:
        if not left[part.codes].holds(part):
            raise _too_large(left[part.codes].gross, lines="Credit the rest as a whole or as an amount.")
    return tuple(parts)


def _check_taxes(parts: Sequence[Part], issued: Issued) -> None:
    """Raises `CreditTooLarge` for more of one tax than is left of it on all lines that bear it, with others or not."""
    taken, left = _by_tax(parts), _by_tax(issued.left)
    for code, part in taken.items():
        if not left[code].holds(part):
            raise _too_large(left[code].gross, tax_code=code)


def _by_tax(parts: Sequence[Part]) -> dict[str, Part]:
    """The sums of each tax by its code."""
    alone = [
        Part((rate,), part.net, (tax,))
        for part in parts
        for rate, tax in zip(part.rates, part.taxes, strict=True)
    ]
    return {part.rates[0].code: part for part in _sums(alone)}


def _too_large(left: int, **more: object) -> CreditTooLarge:
    return CreditTooLarge("More than is left of the invoice at this tax.", left=max(0, left), **more)


def _rounding(parts: Sequence[Part], issued: Issued) -> int:
    """The rounding of a credit note, so that what it leaves is rounded to the currency's step as an invoice is.

    It is less than a step, and all of it with the rest. Raises `CreditTooLarge` for lines above the whole rest, which
    an invoice has whose other lines take off.
    """
    gross = sum(part.gross for part in parts)
    before = sum(part.gross for part in issued.left)
    if gross > before:
        raise CreditTooLarge("More than is left of the invoice.", left=issued.total_left, field="lines")
    step = step_of(issued.invoice.currency)
    total = issued.total_left - nearest(before - gross, step) * step
    if total <= 0:
        raise InvalidCredit("This takes nothing off the total.")
    return total - gross


def _write_off(request: WriteOffRequest, issued: Issued) -> Plan:
    invoice = issued.invoice
    if issued.processing:
        raise PaymentProcessing("A payment is on its way. Wait until it has ended.")
    due = due_amount(invoice.status, invoice.due_before_payments, invoice.settled_amount)
    due = min(due, issued.total_left)
    if due <= 0:
        raise NothingDue("Nothing is due on this invoice.")
    amount = due if request.amount is None else checks.price(request.amount, invoice.currency, "amount")
    if amount == 0:
        raise InvalidCredit("an amount to write off is above zero", field="amount")
    if amount % (step := step_of(invoice.currency)) and amount != due:
        raise InvalidCredit(f"amounts in {invoice.currency} are multiples of {step}", field="amount")
    if amount > due:
        raise WriteOffTooLarge("More than is due.", left=due)
    parts, rounding = _shares(issued.left, issued.rounding_left, amount)
    return Plan(kind="write_off", reason=request.reason, explanation="", parts=parts, rounding=rounding)


def nearest(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, halves up. The denominator is above 0."""
    return (2 * numerator + denominator) // (2 * denominator)


def share_of(amount: int, parts: Sequence[int]) -> list[int]:
    """The amount divided in proportion to the parts, each between 0 and its part; all of them for their sum.

    The amount is from 0 to the parts' sum, which is above 0; some parts may be below 0. Rounding the sums of the first
    parts, and not each part, keeps every share within its part.
    """
    whole = sum(parts)
    shares, seen, given = [], 0, 0
    for part in parts:
        seen += part
        upto = nearest(amount * seen, whole)
        shares.append(upto - given)
        given = upto
    return shares


def _share(part: Part, amount: int) -> Part:
    net, *taxes = share_of(amount, [part.net, *part.taxes])
    return Part(part.rates, net, tuple(taxes))


def _shares(parts: Sequence[Part], rounding: int, amount: int) -> tuple[tuple[Part, ...], int]:
    """An amount divided over all that is left of an invoice."""
    *shares, rounded = share_of(
        amount, [*(each for part in parts for each in (part.net, *part.taxes)), rounding]
    )
    found = iter(shares)
    return tuple(
        [Part(part.rates, next(found), tuple([next(found) for _ in part.taxes])) for part in parts]
    ), rounded


def _sums(parts: Sequence[Part]) -> list[Part]:
    """Parts with the same taxes added up, in order of first use."""
    sums: dict[tuple[str, ...], Part] = {}
    for part in parts:
        held = sums.get(part.codes)
        sums[part.codes] = part if held is None else held.plus(part)
    return list(sums.values())


def issued_of(
    invoice: Invoice,
    lines: Sequence[Line],
    rounding: int,
    taken: Sequence[Part],
    taken_rounding: int,
    quantities: Mapping[int, Decimal],
    *,
    processing: bool,
    prices: PriceMode = "net",
) -> Issued:
    """The invoice with what is left of it: `taken` and `quantities` are the sums of its documents."""
    left = {part.codes: part for part in _sums([line.part for line in lines])}
    for part in taken:
        left[part.codes] = left[part.codes].plus(part, -1)
    return Issued(
        invoice,
        tuple([replace(line, credited=quantities.get(line.position, Decimal(0))) for line in lines]),
        tuple(left.values()),
        rounding - taken_rounding,
        processing,
        prices,
    )


def _thousandths(quantity: Decimal) -> int:
    return int(quantity * 1000)
