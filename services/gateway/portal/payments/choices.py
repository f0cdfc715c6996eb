"""Which invoices are paid at once, and how much of each: pure decisions, with the words for what cannot be."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from contracts.currencies import CURRENCIES, charge_of, takes
from contracts.http.clinics import ClinicOut
from contracts.http.common import Money
from contracts.http.invoices import InvoiceItem
from contracts.http.payments import MOST_INVOICES
from contracts.vocabulary import ACCEPTED_METHODS
from services.chassis.locale import money
from services.chassis.locale.formats import Formats
from services.gateway.portal.credit import uses
from services.gateway.portal.invoices import views as invoices


@dataclass(frozen=True)
class Parts:
    """The parts of an invoice that may be paid: from `least` to `most`. The rest is never too small to be paid."""

    least: Money
    most: Money
    step: int

    @classmethod
    def of(cls, invoice: InvoiceItem, clinic: ClinicOut) -> "Parts | None":
        """None where the clinic takes no parts, or too little is due for two."""
        known = CURRENCIES.get(invoice.currency)
        if clinic.least_part is None or known is None:
            return None
        own = clinic.least_part if clinic.currency == invoice.currency else 0
        least, most = max(own, known.minimum), invoice.due.minor - known.minimum
        if least > most:
            return None
        return cls(Money(least, invoice.currency), Money(most, invoice.currency), known.step)


@dataclass(frozen=True)
class Amount:
    """The amount that a client wants to pay of one invoice: as it was typed, and why it cannot be, in words."""

    typed: str
    minor: int
    error: str = ""


def amount_of(typed: str, invoice: InvoiceItem, clinic: ClinicOut) -> Amount:
    """The typed amount, or the whole that is due: without one, and where it cannot be paid."""
    due, parts = invoice.due, Parts.of(invoice, clinic)
    if not typed.strip() or parts is None:
        return Amount("", due.minor)
    write = invoices.formats(invoice, clinic)
    minor = money.read(typed, due.currency, write.locale)
    error = _error(minor, due, parts, clinic, write)
    return Amount(typed, due.minor if error or minor is None else minor, error)


def _error(minor: int | None, due: Money, parts: Parts, clinic: ClinicOut, write: Formats) -> str:
    if minor is None:
        return f"Write an amount, for example {write.money(parts.least)}."
    if minor == due.minor:
        return ""
    if minor > due.minor:
        return f"This is more than the {write.money(due)} that you owe."
    if minor < parts.least.minor:
        return f"The smallest amount that {clinic.name} takes is {write.money(parts.least)}."
    if minor > parts.most.minor:
        rest = write.money(Money(due.minor - minor, due.currency))
        return (
            f"This would leave {rest}, which is too little to pay online. "
            f"Pay {write.money(due)}, or at most {write.money(parts.most)}."
        )
    if minor % parts.step:
        return f"Write a multiple of {write.money(Money(parts.step, due.currency))}."
    return ""


def deposit_of(typed: str, clinic: ClinicOut) -> tuple[Money | None, str]:
    """The deposit that was typed; or none, and why not in words. Without words nothing was typed."""
    if not typed.strip():
        return None, ""
    write, known = Formats.of(clinic), CURRENCIES[clinic.currency]
    minor = money.read(typed, clinic.currency, write.locale)
    least = write.money(Money(known.minimum, clinic.currency))
    if minor is None:
        return None, f"Write an amount, for example {least}."
    if minor < known.minimum:
        return None, f"The smallest amount that can be paid online is {least}."
    amount = Money(minor, clinic.currency)
    if minor % known.step:
        return None, f"Write a multiple of {write.money(Money(known.step, clinic.currency))}."
    if not ways_for(amount, clinic):
        return None, "This is more than can be paid online at once."
    return amount, ""


def ways_for(amount: Money, clinic: ClinicOut) -> list[str]:
    """The ways to pay this amount online now; none when the clinic or its account takes no payments."""
    taken = invoices.ways_of(clinic, amount.currency)
    return [way for way in ACCEPTED_METHODS if way in taken and takes(way, amount.minor, amount.currency)]


@dataclass(frozen=True)
class Chosen:
    """Invoices in one currency to be paid at once, the first due first, each of them whole.

    `more`: how many others there are, since one payment has a limit. `gone`: how many of the invoices asked for
    are not to be paid here now. `error`: why these cannot be paid at once, in words; there are no invoices then.
    """

    invoices: Sequence[InvoiceItem] = field(default_factory=list)
    more: int = 0
    gone: int = 0
    error: str = ""

    @property
    def amount(self) -> Money:
        return Money(sum(each.due.minor for each in self.invoices), self.invoices[0].currency)


def payable_together(unpaid: Sequence[InvoiceItem], clinic: ClinicOut) -> list[InvoiceItem]:
    """The invoices that can be paid with others: also one that is too small to be paid alone."""
    return [
        each
        for each in unpaid
        if clinic.online_payment
        and invoices.is_due(each)
        and charge_of(each.due.minor, each.currency) in ("possible", "below_minimum")
    ]


def all_in(
    currency: str, unpaid: Sequence[InvoiceItem], clinic: ClinicOut, held: Sequence[Money] = ()
) -> Chosen:
    """All that can be paid in this currency, as many as one payment takes. `held`: the client's credit."""
    found = [each for each in payable_together(unpaid, clinic) if each.currency == currency]
    return _checked(Chosen(found[:MOST_INVOICES], more=len(found[MOST_INVOICES:])), clinic, held)


def chosen(
    wanted: Collection[str],
    unpaid: Sequence[InvoiceItem],
    clinic: ClinicOut,
    held: Sequence[Money] = (),
) -> Chosen:
    """The invoices with these ids, as many as one payment takes. `held`: the client's credit."""
    if not wanted:
        return Chosen(error="Choose at least one invoice.")
    found = [each for each in payable_together(unpaid, clinic) if str(each.id) in wanted]
    if len({each.currency for each in found}) > 1:
        return Chosen(
            error="Invoices in different currencies are paid one after the other. Choose those of one."
        )
    gone = len(set(wanted)) - len(found)
    return _checked(Chosen(found[:MOST_INVOICES], more=len(found[MOST_INVOICES:]), gone=gone), clinic, held)


def _checked(made: Chosen, clinic: ClinicOut, held: Sequence[Money]) -> Chosen:
    if not made.invoices:
        return made
    amount = made.amount
    if ways_for(amount, clinic) or uses.pays_alone(amount, len(made.invoices), held):
        return made
    words = Formats.of(clinic).money(amount)
    if charge_of(amount.minor, amount.currency) == "below_minimum":
        return Chosen(error=f"{words} is too little to pay online. Choose more invoices.")
    return Chosen(error=f"{words} is more than can be paid online at once. Choose fewer invoices.")
