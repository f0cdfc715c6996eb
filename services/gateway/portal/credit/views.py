"""A client's credit and its refunds, in plain words."""

from dataclasses import dataclass

from contracts.http.clinics import ClinicOut
from contracts.http.common import Money
from contracts.http.credit import CreditOut, RefundOut
from contracts.http.payments import PaymentOut
from contracts.vocabulary import PENDING_REFUNDS, UNBEGUN_REFUNDS, is_returned
from services.chassis.locale.formats import Formats
from services.gateway.portal.methods import views as methods

MOST_SHOWN = 3


@dataclass(frozen=True)
class RefundView:
    words: str
    shape: str
    tone: str


@dataclass(frozen=True)
class CreditView:
    """`amount` is empty when the client has no free credit; `heading` says then what became of it.

    `reserved` is a sentence about credit that payments on their way are to use.
    """

    amount: str
    reserved: str
    heading: str
    refunds: list[RefundView]


def credit(found: CreditOut, clinic: ClinicOut) -> CreditView | None:
    """The client's credit; None if there is none. Returned refunds of credit are shown only while there is credit."""
    write = Formats.of(clinic)
    held = {balance.currency for balance in found.balances}
    shown = [
        refund
        for refund in found.refunds
        if not _came_back(refund) or refund.invoices or refund.amount.currency in held
    ]
    if not (found.balances or shown or found.reserved):
        return None
    reserved = " and ".join(write.money(each) for each in found.reserved)
    return CreditView(
        amount=" and ".join(write.money(balance) for balance in found.balances),
        reserved=f"{reserved} of your credit is set aside for a payment that you have begun."
        if reserved
        else "",
        heading="Your credit"
        if not shown
        else "Refunded"
        if all(each.status == "succeeded" for each in shown)
        else "Your refund",
        refunds=[_refund(refund, write) for refund in shown[:MOST_SHOWN]],
    )


def surplus_words(payment: PaymentOut, credit: CreditOut | None, seller: str, write: Formats) -> str:
    """The sentences about what a payment brought above what was owed, as it stands now; empty without a surplus.

    While the credit is not known, they do not say who has the money.
    """
    surplus = payment.surplus
    if surplus is None or not surplus.minor:
        return ""
    paid = f"You paid {write.money(surplus)} more than you owed."
    if not payment.invoices:
        paid = f"You paid {write.money(surplus)} before there was an invoice."
    if credit is None:
        return paid
    refunds = [each for each in credit.refunds if each.payment_id == payment.id and not _came_back(each)]
    sent = sum(_credit_part(each) for each in refunds if each.status == "succeeded")
    coming = sum(map(_credit_part, refunds)) - sent
    balances = (*credit.balances, *credit.reserved)
    held = sum(each.minor for each in balances if each.currency == surplus.currency)
    left = surplus.minor - sent - coming
    kept = min(left, held)

    def named(minor: int, alone: str) -> str:
        """A part of the surplus by its amount; the whole of it, which the first sentence names, by a word."""
        return alone if minor == surplus.minor else write.money(Money(minor, surplus.currency))

    parts = [
        paid,
        f"{named(sent, 'It')} was sent back to you." if sent else "",
        f"{named(coming, 'It')} is on its way back to you." if coming else "",
        f"{seller} keeps {named(kept, 'it')} as your credit." if kept > 0 else "",
        f"{named(left - kept, 'It')} is no longer your credit." if left > kept else "",
    ]
    return " ".join(part for part in parts if part)


def _came_back(refund: RefundOut) -> bool:
    return is_returned(refund.status)


def _refund(refund: RefundOut, write: Formats) -> RefundView:
    amount, used = write.money(refund.amount), methods.used(refund.method)
    place = f"your {used}" if refund.method and refund.method.last4 else used or "where you paid from"
    if _came_back(refund):
        day = write.day_of(refund.updated_at)
        now = (
            "It is your credit again." if _credit_part(refund) == refund.amount.minor else "The clinic knows."
        )
        return RefundView(f"{amount} could not be sent back to {place} on {day}. {now}", "info", "")
    if refund.status == "succeeded":
        day = write.day_of(refund.refunded_at or refund.updated_at)
        return RefundView(given_back(amount, place, day, to_credit=refund.to == "credit"), "check", "good")
    if refund.status in UNBEGUN_REFUNDS:
        return RefundView(f"The clinic is preparing a refund of {amount} to {place}.", "info", "wait")
    if refund.status == "requires_action":
        words = f"{amount} waits for you: an e-mail asks you where it should be sent."
        return RefundView(words, "info", "wait")
    if refund.status in PENDING_REFUNDS:
        return RefundView(f"{amount} is on its way back to {place}.", "arrow", "wait")
    return RefundView(f"A refund of {amount} to {place} is being updated.", "info", "wait")


def given_back(amount: str, place: str, day: str, *, to_credit: bool) -> str:
    """The sentence about money that went back, for every page."""
    if to_credit:
        return f"{amount} of what you paid became your credit on {day}."
    return f"{amount} was sent back to {place} on {day}. Banks take up to ten days to show it."


def _credit_part(refund: RefundOut) -> int:
    """The part that was the client's credit before: the rest had paid invoices."""
    return refund.amount.minor - sum(share.amount.minor for share in refund.invoices)
