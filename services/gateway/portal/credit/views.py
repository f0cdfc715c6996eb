"""A client's credit and its refunds, in plain words."""

from dataclasses import dataclass

from contracts.http.clinics import ClinicOut
from contracts.http.credit import CreditOut, RefundOut
from contracts.vocabulary import PENDING_REFUNDS, is_returned
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
    """`amount` is empty when the client has no credit."""

    amount: str
    refunds: list[RefundView]


def credit(found: CreditOut, clinic: ClinicOut) -> CreditView | None:
    """The client's credit; None if there is none. Returned refunds are shown only while there is credit."""
    write = Formats.of(clinic)
    held = {balance.currency for balance in found.balances}
    shown = [refund for refund in found.refunds if not _came_back(refund) or refund.amount.currency in held]
    if not (found.balances or shown):
        return None
    return CreditView(
        amount=" and ".join(write.money(balance) for balance in found.balances),
        refunds=[_refund(refund, write) for refund in shown[:MOST_SHOWN]],
    )


def _came_back(refund: RefundOut) -> bool:
    return is_returned(refund.status)


def _refund(refund: RefundOut, write: Formats) -> RefundView:
    amount, used = write.money(refund.amount), methods.used(refund.method)
    place = f"your {used}" if refund.method and refund.method.last4 else used or "where you paid from"
    if _came_back(refund):
        day = write.day_of(refund.updated_at)
        words = f"{amount} could not be sent back to {place} on {day}. It is your credit again."
        return RefundView(words, "info", "")
    if refund.status == "succeeded":
        day = write.day_of(refund.refunded_at or refund.updated_at)
        words = f"{amount} was sent back to {place} on {day}. Banks take up to ten days to show it."
        return RefundView(words, "check", "good")
    if refund.status in PENDING_REFUNDS:
        return RefundView(f"{amount} is on its way back to {place}.", "arrow", "wait")
    return RefundView(f"A refund of {amount} to {place} is being updated.", "info", "wait")
