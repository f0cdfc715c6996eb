"""Stripe's test cards, by number and by token, and what each of them does. Source: Stripe's page "Testing" (2026)."""

from dataclasses import dataclass
from typing import Literal

Authentication = Literal["never", "off_session", "always", "once"]
Risk = Literal["normal", "elevated", "highest"]


@dataclass(frozen=True)
class Card:
    number: str
    brand: str = "visa"
    decline: str | None = None
    """A key of DECLINES."""
    authentication: Authentication = "never"
    """`off_session`: on every on-session payment, and off session unless it was set up before."""
    funding: str = "credit"
    country: str = "US"
    saves: bool = True
    """False: the card is declined as well when it is only being saved."""
    refund: str = "succeeded"
    """`pending`: a refund waits for the bank; `fails`: it succeeds at once and fails later."""
    disputed: tuple[str, ...] = ()
    """The disputes that follow each payment: their reasons, an inquiry's with `?` behind it."""
    warned: bool = False
    """An early warning of fraud follows each payment."""
    available: bool = False
    """Its money goes straight to the available balance."""
    risk: Risk = "normal"
    failing: tuple[str, ...] = ()
    """The checks that fail, of `address_line1_check`, `address_postal_code_check` and `cvc_check`."""

    @property
    def last4(self) -> str:
        return self.number[-4:]


def _declines(number: str, decline: str) -> Card:
    return Card(number, decline=decline, saves=False)


_DECLINED = {
    "": _declines("4000000000000002", "generic_decline"),
    "InsufficientFunds": _declines("4000000000009995", "insufficient_funds"),
    "LostCard": _declines("4000000000009987", "lost_card"),
    "StolenCard": _declines("4000000000009979", "stolen_card"),
    "ExpiredCard": _declines("4000000000000069", "expired_card"),
    "IncorrectCvc": _declines("4000000000000127", "incorrect_cvc"),
    "ProcessingError": _declines("4000000000000119", "processing_error"),
    "VelocityLimitExceeded": _declines("4000000000006975", "velocity"),
}
_COUNTRIES = {
    "us": "4242424242424242", "at": "4000000400000008", "au": "4000000360000006", "be": "4000000560000004",
    "br": "4000000760000002", "ca": "4000001240000000", "ch": "4000007560000009", "de": "4000002760000016",
    "es": "4000007240000007", "fr": "4000002500000003", "gb": "4000008260000000", "ie": "4000003720000005",
    "it": "4000003800000008", "mx": "4000004840008001", "nl": "4000005280000002", "pl": "4000006160000005",
    "pt": "4000006200000007", "se": "4000007520000008",
}  # fmt: skip
_GOOD = {
    "pm_card_visa": Card("4242424242424242"),
    "pm_card_visa_debit": Card("4000056655665556", funding="debit"),
    "pm_card_mastercard": Card("5555555555554444", "mastercard"),
    "pm_card_mastercard_debit": Card("5200828282828210", "mastercard", funding="debit"),
    "pm_card_mastercard_prepaid": Card("5105105105105100", "mastercard", funding="prepaid"),
    "pm_card_amex": Card("378282246310005", "amex"),
    "pm_card_discover": Card("6011111111111117", "discover"),
    "pm_card_diners": Card("3056930009020004", "diners"),
    "pm_card_jcb": Card("3566002020360505", "jcb", country="JP"),
    "pm_card_unionpay": Card("6200000000000005", "unionpay", country="CN"),
}
_OTHERS = {
    "pm_card_chargeCustomerFail": Card("4000000000000341", decline="generic_decline"),
    "pm_card_radarBlock": Card("4100000000000019", decline="blocked", risk="highest"),
    "pm_card_bypassPending": Card("4000000000000077", available=True),
    "pm_card_bypassPendingInternational": Card("4000003720000278", country="IE", available=True),
    "pm_card_pendingRefund": Card("4000000000007726", refund="pending"),
    "pm_card_refundFail": Card("4000000000005126", refund="fails"),
    "pm_card_createDispute": Card("4000000000000259", disputed=("fraudulent",)),
    "pm_card_createDisputeProductNotReceived": Card("4000000000002685", disputed=("product_not_received",)),
    "pm_card_createDisputeInquiry": Card("4000000000001976", disputed=("fraudulent?",)),
    "pm_card_createIssuerFraudRecord": Card("4000000000005423", warned=True),
    "pm_card_createMultipleDisputes": Card("4000000404000079", disputed=("fraudulent", "fraudulent")),
    "pm_card_createCe3EligibleDispute": Card("4000000404000038", disputed=("fraudulent",)),
    "pm_card_threeDSecure2Required": Card("4000000000003220", authentication="always"),
    "pm_card_threeDSecureOptional": Card("4000000000003055"),
    "pm_card_threeDSecureRequiredChargeDeclined": Card(
        "4000008400001629", authentication="always", decline="generic_decline", saves=False
    ),
    "pm_card_threeDSecureRequiredProcessingError": Card(
        "4000008400001280", authentication="always", decline="processing_error", saves=False
    ),
    "pm_card_authenticationRequiredOnSetup": Card("4000002500003155", authentication="off_session"),
    "pm_card_authenticationRequired": Card("4000002760003184", authentication="always"),
    "pm_card_authenticationRequiredSetupForOffSession": Card("4000003800000446", authentication="once"),
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": Card(
        "4000008260003178", authentication="always", decline="insufficient_funds"
    ),
    "pm_card_riskLevelElevated": Card("4000000000009235", risk="elevated"),
    "pm_card_riskLevelHighest": Card("4000000000004954", decline="blocked", risk="highest"),
    "pm_card_cvcCheckFail": Card("4000000000000101", failing=("cvc_check",)),
    "pm_card_avsZipFail": Card("4000000000000036", failing=("address_postal_code_check",)),
    "pm_card_avsLine1Fail": Card("4000000000000028", failing=("address_line1_check",)),
    "pm_card_avsFail": Card("4000000000000010", failing=("address_line1_check", "address_postal_code_check")),
}
CARDS = {
    **_GOOD,
    **{f"pm_card_{country}": Card(number, country=country.upper()) for country, number in _COUNTRIES.items()},
    **{f"pm_card_chargeDeclined{why}": card for why, card in _DECLINED.items()},
    **{f"pm_card_visa_chargeDeclined{why}": card for why, card in _DECLINED.items()},
    **_OTHERS,
}
"""By token. Stripe knows each that declines by a longer name too."""
_BY_NUMBER_ALONE = (
    Card("371449635398431", "amex"),
    Card("6011000990139424", "discover"),
    Card("6011981111111113", "discover", funding="debit"),
    Card("2223003122003222", "mastercard"),
    Card("36227206271667", "diners"),
    Card("6200000000000047", "unionpay", funding="debit", country="CN"),
    Card("6205500000000000004", "unionpay", country="CN"),
    Card("6555900000604105", "discover", country="KR"),
    Card("4000002500001001", country="FR"),
    Card("5555552500001001", "mastercard", country="FR"),
    Card("4000008400000027", authentication="always"),
    Card("4000000000003097"),
    Card("4000000032200000"),
    Card("4000008400000407", risk="elevated"),
    Card("4000008400000159", risk="elevated"),
    Card("4000000000000044"),
    Card("4000008400000779", disputed=("noncompliant",)),
    Card("5105008400000002", "mastercard", disputed=("noncompliant",)),
    Card("4000000001000043", disputed=("fraudulent",)),
    Card("4000000404004816", disputed=("fraudulent",)),
    Card("4000000404005649", disputed=("fraudulent",)),
    Card("5105000300000018", "mastercard", disputed=("fraudulent",)),
)
"""Cards without a token here. Cards of dispute prevention make a plain dispute, as on accounts without it."""
BY_NUMBER = {card.number: card for card in (*_BY_NUMBER_ALONE, *CARDS.values())}
_PREFIXES = (
    (("34", "37"), "amex"),
    (("36", "30", "38", "39"), "diners"),
    (("35",), "jcb"),
    (("62",), "unionpay"),
    (("60", "64", "65"), "discover"),
    (("51", "52", "53", "54", "55", "22", "23", "24", "25", "26", "27"), "mastercard"),
)


def card_of(number: str) -> Card:
    """The test card of that number; any other number that passes the check digit is a good card."""
    return BY_NUMBER.get(number) or Card(number, brand_of(number))


def brand_of(number: str) -> str:
    return next((brand for prefixes, brand in _PREFIXES if number.startswith(prefixes)), "visa")


def passes_check_digit(number: str) -> bool:
    """Luhn's sum over 12 to 19 digits."""
    if not (number.isascii() and number.isdecimal() and 12 <= len(number) <= 19):
        return False
    digits = [int(digit) for digit in reversed(number)]
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
