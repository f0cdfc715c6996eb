"""Stripe's test cards, by number and by token, and what each of them does."""

from dataclasses import dataclass
from typing import Literal

Authentication = Literal["never", "off_session", "always", "once"]


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

    @property
    def last4(self) -> str:
        return self.number[-4:]


@dataclass(frozen=True)
class Decline:
    code: str
    reason: str | None
    message: str


DECLINES = {
    "generic_decline": Decline("card_declined", "generic_decline", "Your card was declined."),
    "insufficient_funds": Decline("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "lost_card": Decline("card_declined", "lost_card", "Your card was declined."),
    "stolen_card": Decline("card_declined", "stolen_card", "Your card was declined."),
    "fraudulent": Decline("card_declined", "fraudulent", "Your card was declined."),
    "velocity": Decline(
        "card_declined",
        "card_velocity_exceeded",
        "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    ),
    "expired_card": Decline("expired_card", "expired_card", "Your card has expired."),
    "incorrect_cvc": Decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."),
    "processing_error": Decline(
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    "authentication_required": Decline(
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}

_DECLINED = False
CARDS = {
    "pm_card_visa": Card("4242424242424242"),
    "pm_card_visa_debit": Card("4000056655665556", funding="debit"),
    "pm_card_mastercard": Card("5555555555554444", "mastercard"),
    "pm_card_mastercard_debit": Card("5200828282828210", "mastercard", funding="debit"),
    "pm_card_amex": Card("378282246310005", "amex"),
    "pm_card_discover": Card("6011111111111117", "discover"),
    "pm_card_diners": Card("3056930009020004", "diners"),
    "pm_card_jcb": Card("3566002020360505", "jcb", country="JP"),
    "pm_card_unionpay": Card("6200000000000005", "unionpay", country="CN"),
    "pm_card_ie": Card("4000003720000005", country="IE"),
    "pm_card_gb": Card("4000008260000000", country="GB"),
    "pm_card_de": Card("4000002760000016", country="DE"),
    "pm_card_pendingRefund": Card("4000000000007726", refund="pending"),
    "pm_card_refundFail": Card("4000000000005126", refund="fails"),
    "pm_card_chargeDeclined": Card("4000000000000002", decline="generic_decline", saves=_DECLINED),
    "pm_card_chargeDeclinedInsufficientFunds": Card(
        "4000000000009995", decline="insufficient_funds", saves=_DECLINED
    ),
    "pm_card_chargeDeclinedLostCard": Card("4000000000009987", decline="lost_card", saves=_DECLINED),
    "pm_card_chargeDeclinedStolenCard": Card("4000000000009979", decline="stolen_card", saves=_DECLINED),
    "pm_card_chargeDeclinedExpiredCard": Card("4000000000000069", decline="expired_card", saves=_DECLINED),
    "pm_card_chargeDeclinedIncorrectCvc": Card("4000000000000127", decline="incorrect_cvc", saves=_DECLINED),
    "pm_card_chargeDeclinedProcessingError": Card(
        "4000000000000119", decline="processing_error", saves=_DECLINED
    ),
    "pm_card_chargeDeclinedFraudulent": Card("4100000000000019", decline="fraudulent", saves=_DECLINED),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": Card(
        "4000000000006975", decline="velocity", saves=_DECLINED
    ),
    "pm_card_chargeCustomerFail": Card("4000000000000341", decline="generic_decline"),
    "pm_card_threeDSecure2Required": Card("4000000000003220", authentication="always"),
    "pm_card_threeDSecureOptional": Card("4000000000003055"),
    "pm_card_threeDSecureRequiredChargeDeclined": Card(
        "4000008400001629", authentication="always", decline="generic_decline", saves=_DECLINED
    ),
    "pm_card_authenticationRequiredOnSetup": Card("4000002500003155", authentication="off_session"),
    "pm_card_authenticationRequired": Card("4000002760003184", authentication="always"),
    "pm_card_authenticationRequiredSetupForOffSession": Card("4000003800000446", authentication="once"),
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": Card(
        "4000008260003178", authentication="always", decline="insufficient_funds"
    ),
}
BY_NUMBER = {card.number: card for card in CARDS.values()}
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
