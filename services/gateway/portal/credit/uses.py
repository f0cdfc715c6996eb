"""How much of a client's credit pays invoices: pure decisions."""

from collections.abc import Collection, Sequence

from contracts.currencies import CURRENCIES, Charge, charge_of
from contracts.http.clinics import ClinicOut
from contracts.http.common import Money
from contracts.http.invoices import InvoiceItem

BY_CREDIT_ALONE: Collection[Charge] = ("below_minimum", "between_steps", "above_maximum")
"""Why an amount cannot be charged where credit can pay it."""


def credit_for(total: Money, number: int, held: Sequence[Money]) -> int:
    """The most of the client's credit that pays so many invoices: all of the sum, or what leaves a rest to charge."""
    known = CURRENCIES.get(total.currency)
    have = sum(each.minor for each in held if each.currency == total.currency)
    if known is None or have >= total.minor:
        return total.minor if known else 0
    most = min(have, total.minor - known.beside_credit(number))
    return max(0, most - most % known.step)


def may_pay_alone(invoice: InvoiceItem, clinic: ClinicOut) -> bool:
    """Whether the amount due is one that only credit can pay here."""
    return clinic.online_payment and not invoice.being_checked and invoice.online_charge in BY_CREDIT_ALONE


def is_only_way(total: Money) -> bool:
    """Whether nothing but credit can pay this sum."""
    return charge_of(total.minor, total.currency) in BY_CREDIT_ALONE


def pays_alone(invoice: InvoiceItem, clinic: ClinicOut, held: Sequence[Money]) -> bool:
    """Whether the client's credit pays all of an invoice whose amount cannot be charged."""
    return may_pay_alone(invoice, clinic) and credit_for(invoice.due, 1, held) == invoice.due.minor
