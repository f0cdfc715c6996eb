"""Amounts, days, methods and reasons as a clinic's clients read them."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date

from contracts.events import Method
from contracts.money import Money
from services.chassis.locale.money import written

_BRANDS = {
    "amex": "American Express",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}
_KINDS = {
    "ideal": "iDEAL",
    "paypal": "PayPal",
    "sepa_debit": "SEPA Direct Debit",
    "us_bank_account": "Bank account",
}

_REASONS = {
    "authentication_required": "The bank asked you to confirm the payment, and that step was not finished.",
    "expired_card": "The card has passed its expiry date.",
    "incorrect_cvc": "The security code did not match the card.",
    "incorrect_number": "The card number was not recognised.",
    "insufficient_funds": "The bank reported that the account did not have enough available for this amount.",
    "processing_error": "The payment could not be processed at that moment.",
}
_NO_REASON = "The bank did not approve the payment. Banks often give no reason."


def money(amount: Money, locale: str) -> str:
    """The amount with its currency, as the locale writes it: `€125.00`, `125,00 €`."""
    return written(amount.minor, amount.currency, Locale.parse(locale, sep="-"))


def day(value: date, locale: str) -> str:
    """A calendar day in words: `7 December 2026`."""
    return format_date(value, format="long", locale=Locale.parse(locale, sep="-"))


def day_of(moment: datetime, locale: str, time_zone: str) -> str:
    """The calendar day that a moment falls on where the clinic is."""
    return day(moment.astimezone(ZoneInfo(time_zone)).date(), locale)


def method(paid_with: Method | None) -> str | None:
    """`Visa ending 4242`, `PayPal`; None when it is not known."""
    if paid_with is None:
        return None
    if paid_with.kind == "card":
        name = _BRANDS.get(paid_with.brand or "", "Card")
    else:
        name = _KINDS.get(paid_with.kind, paid_with.kind.replace("_", " ").capitalize())
    return f"{name} ending {paid_with.last4}" if paid_with.last4 else name


def reason(failure_code: str | None) -> str:
    """Why a payment did not go through, without blame and without the bank's jargon."""
    return _REASONS.get(failure_code or "", _NO_REASON)


def ink_on(accent: str) -> str:
    """Black or white, whichever is read better on the accent (`#rrggbb`, by WCAG's relative luminance)."""
    channels = [int(accent[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if luminance < 0.179 else "#111418"
