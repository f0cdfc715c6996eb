"""Answers to the payment page's script when a payment cannot start: plain words, and the next steps."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response
from litestar.status_codes import HTTP_409_CONFLICT, HTTP_429_TOO_MANY_REQUESTS

from contracts.declines import UNKNOWN_OUTCOME
from contracts.http.common import Money
from services.chassis.http.problems import problem
from services.chassis.locale.formats import Formats
from services.gateway.portal.page import PortalPage
from services.gateway.portal.payments.views import pay_path
from services.gateway.upstream.calls import UpstreamError


class Step(msgspec.Struct):
    href: str
    words: str


class Refusal(msgspec.Struct):
    """`code` is the payment service's; `message` and `next` are shown as they are.

    So is `heading`; without one the page's own says that the payment did not go through.
    """

    code: str
    message: str
    next: list[Step]
    heading: str = ""


_UNCLEAR = "The payment could not be started. No money was taken. Try again in a moment."
_FOR_GOOD = (
    "This payment is not possible as it is. No money was taken. Look at the invoice, or ask the clinic."
)
_WORDS = {
    "wrong_amount": "This amount cannot be paid. No money was taken. Pay the amount that the invoice shows.",
    "wrong_currency": "This invoice is in another currency. No money was taken. Pay the amount that the invoice shows.",
    "already_paid": "This invoice has been paid, or the clinic has cancelled or credited it. Nothing more was taken.",
    "payment_in_progress": "A payment for this invoice is already on its way. Nothing more was taken.",
    "chosen_elsewhere": "You have chosen another way to pay, perhaps in another tab. No money was taken here. "
    "Go on there, or press Pay here again.",
    "invoice_being_checked": "A payment of this invoice is being checked. You do not need to pay anything now. "
    "No money was taken.",
    "online_payment_off": "The clinic has just switched off payments in this portal. No money was taken.",
    "no_stripe_account": "The clinic is not set up for payments in this portal. Please contact the clinic to pay.",
    "invoice_being_updated": "This invoice is being updated. No money was taken. Look at it again in a few minutes.",
    "account_cannot_charge": "The clinic cannot take payments in this portal at the moment. No money was taken. "
    "Please contact the clinic to pay.",
    "method_not_accepted": "The clinic does not take this way to pay. Choose another one.",
    "payment_method_not_found": "This saved card is no longer there. Choose another way to pay.",
    "payable_unknown": "This invoice is very new and not ready to be paid yet. Try again in a moment.",
    "payable_not_found": "This invoice cannot be paid here. Please ask the clinic.",
    "too_many_declines": "Too many cards were declined. Please try again in an hour, or ask the clinic.",
    "too_many_starts": "There were too many tries to pay within an hour. No money was taken. "
    "Please try again later, or ask the clinic.",
    "amount_too_small": "This is less than can be paid by card or online. Please ask the clinic how to pay it.",
    "amount_too_large": "This is more than can be paid at once in this way. Choose another one, or ask the clinic.",
    "rest_too_small": "This would leave an amount that is too small to pay online. Please pay the whole amount.",
    "credit_overdrawn": "Your credit has changed since you opened this page. No money was taken.",
    "credit_rest_too_small": "An amount has changed since you opened this page. No money was taken.",
    "parts_off": "The clinic takes this invoice only as a whole. No money was taken. Pay the whole amount.",
    "part_too_small": "This is less than the smallest amount that the clinic takes. No money was taken.",
    "consent_changed": "The text that you agree to has changed since you opened this page. No money was taken. "
    "Load this page again and read it.",
    "account_missing": "The clinic is not ready to take payments here. Please ask the clinic.",
    "stripe_misconfigured": "The clinic is not ready to take payments here. Please ask the clinic.",
}
_OF_SEVERAL = {
    "amount_changed": "An amount has changed since you opened this page. No money was taken.",
    "already_paid": "Nothing is due on one of these invoices any more. No money was taken.",
    "payment_in_progress": "A payment for one of these invoices is already on its way. Nothing more was taken.",
    "invoice_being_checked": "A payment of one of these invoices is being checked. No money was taken.",
    "invoice_being_updated": "One of these invoices is being updated. No money was taken. Try again in a few minutes.",
    "payable_unknown": "One of these invoices is very new and not ready to be paid yet. Try again in a moment.",
    "payable_not_found": "One of these invoices cannot be paid here. No money was taken. Please ask the clinic.",
    "parts_off": "An amount has changed since you opened this page. No money was taken.",
    "consent_changed": _WORDS["consent_changed"],
    "credit_overdrawn": _WORDS["credit_overdrawn"],
    "credit_rest_too_small": _WORDS["credit_rest_too_small"],
}
"""The words for one of several invoices that are paid at once, where they are others than for a single one."""
_OF_DEPOSIT = {
    "deposits_off": "The clinic takes no deposits in this portal any more. No money was taken.",
    "payment_in_progress": "A deposit of yours is already on its way. Nothing more was taken.",
    "wrong_currency": "The clinic takes deposits in another currency now. No money was taken.",
    "wrong_amount": "This amount cannot be paid. No money was taken.",
    "consent_changed": _WORDS["consent_changed"],
}
"""The words for a deposit, where they are others than for an invoice."""
_HEADINGS = {
    "already_paid": "Nothing is due any more",
    "payment_in_progress": "A payment is on its way",
    "invoice_being_checked": "A payment is being checked",
    "chosen_elsewhere": "You chose another way to pay",
}
"""For refusals because of another payment: that one may well have gone through."""
_UNANSWERED = {"service_unavailable", "bad_answer", "upstream_error", "internal_error"}
"""Answers that prove nothing: the service may have done all of it. A start takes no money by itself, but credit alone
has paid with it."""
_LOOK_AT_INVOICE = {
    "wrong_amount",
    "wrong_currency",
    "already_paid",
    "payment_in_progress",
    "invoice_being_checked",
    "online_payment_off",
    "no_stripe_account",
    "account_cannot_charge",
    "invoice_being_updated",
    "too_many_starts",
    "amount_too_small",
    "amount_too_large",
    "rest_too_small",
    "parts_off",
    "part_too_small",
}


def response(
    error: UpstreamError, page: PortalPage, wanted: Sequence[UUID], *, by_credit: bool = False
) -> Response[dict[str, Any]]:
    """The problem for the script, with the service's own status. `wanted`: the invoices that were to be paid.

    `by_credit`: credit was to pay all, so that an answer that is lost may be of a payment.
    """
    if by_credit and error.code in _UNANSWERED:
        refusal = Refusal(error.code, str(UNKNOWN_OUTCOME), [Step(_look(page, wanted), _LOOK)], _WAITING)
    elif not wanted:
        refusal = _of_deposit(error, page)
    else:
        refusal = _refusal(error, page, wanted[0]) if len(wanted) == 1 else _of_several(error, page, wanted)
    steps: list[Any] = msgspec.to_builtins(refusal.next)
    return problem(
        error.status,
        refusal.code,
        refusal.message,
        headers=_headers(error),
        heading=refusal.heading,
        message=refusal.message,
        next=steps,
    )


_LOOK = "See what became of the payment"
_WAITING = "We are waiting for an answer"


def _look(page: PortalPage, wanted: Sequence[UUID]) -> str:
    return page.invoice_path(wanted[0]) if len(wanted) == 1 else page.path("billing")


def _refusal(error: UpstreamError, page: PortalPage, invoice_id: UUID) -> Refusal:
    pay = page.pay_path(invoice_id)
    if error.code == "amount_changed":
        return Refusal(error.code, _changed(error, page), [Step(pay, "See the new amount")])
    if error.code in ("credit_overdrawn", "credit_rest_too_small"):
        return Refusal(error.code, _WORDS[error.code], [Step(pay, "See what there is to pay")])
    if error.code == "consent_changed":
        return Refusal(error.code, _WORDS[error.code], [Step(pay, "Load this page again")])
    return _known(error, Step(page.invoice_path(invoice_id), "Look at the invoice"))


def _of_several(error: UpstreamError, page: PortalPage, wanted: Sequence[UUID]) -> Refusal:
    """A page that is asked for again leaves out what is not to be paid any more."""
    again = Step(pay_path(page.clinic, wanted), "See what is left to pay")
    if error.code in _OF_SEVERAL:
        return Refusal(error.code, _OF_SEVERAL[error.code], [again])
    return _known(error, Step(page.path("billing"), "Look at your invoices"))


def _of_deposit(error: UpstreamError, page: PortalPage) -> Refusal:
    again = Step(page.path("deposit"), "Choose the amount again")
    if error.code in _OF_DEPOSIT:
        return Refusal(error.code, _OF_DEPOSIT[error.code], [again])
    return _known(error, again)


def _known(error: UpstreamError, look: Step) -> Refusal:
    code, again = error.code, error.temporary or error.status == HTTP_429_TOO_MANY_REQUESTS
    unknown = code not in _WORDS and not again
    steps = [look] if unknown or code in _LOOK_AT_INVOICE else []
    words = _WORDS.get(code, _UNCLEAR if again else _FOR_GOOD)
    return Refusal(code, words, steps, _HEADINGS.get(code, ""))


def _changed(error: UpstreamError, page: PortalPage) -> str:
    try:
        open_amount = msgspec.convert(error.fields.get("open"), Money)
    except msgspec.ValidationError:
        return "The amount has changed since you opened this page. No money was taken."
    now_due = Formats.of(page.clinic).money(open_amount)
    return f"The amount has changed since you opened this page: it is {now_due} now. No money was taken."


def _headers(error: UpstreamError) -> dict[str, str]:
    if error.status == HTTP_409_CONFLICT or error.retry_after is None:
        return {}
    return {"Retry-After": str(max(1, round(error.retry_after)))}
