"""Why a payment was not made, or a card not saved: one table of reasons for pages, e-mails and the public API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.vocabulary import DEBIT_CAPABILITIES


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a payment failed, and what to do next. Plain sentences, never the bank's own text.

    `of_card`: they are about the card alone, so that they are right too when a card is saved and nothing is paid.
    """

    reason: str
    advice: str
    of_card: bool = False

    def __str__(self) -> str:
        return f"{self.reason} {self.advice}"


_OTHER_CARD = "Use another card, or pay another way."
_OTHER_WAY = "Try again, or choose another way."
_OTHER_ACCOUNT = "Use another account, or pay another way."
_CODE = Decline(
    "The security code is not right.", "Check the digits on the card and try again.", of_card=True
)
_NUMBER = Decline("The card number is not right.", "Check it and try again.", of_card=True)
_EXPIRY = Decline("The expiry date is not right.", "Check it and try again.", of_card=True)
_EXPIRED = Decline("This card has expired.", _OTHER_CARD)
_POSTCODE = Decline("The postcode does not match the card.", "Check it and try again.", of_card=True)
_LIMIT = Decline(
    "This card has reached its limit for now.", "Use another card, or ask your bank.", of_card=True
)
_NOT_NOW = Decline("Your bank could not process the payment just now.", "Try again in a moment.")
_CONFIRM = Decline("Your bank wants you to confirm the payment.", "Try again and follow its steps.")
_NOT_CONFIRMED = Decline(
    "Your bank could not confirm that it was you.", "Try again and follow its steps, or pay another way."
)
_UNUSABLE = Decline("This card cannot be used for this payment.", _OTHER_CARD)
_NOT_AVAILABLE = Decline("This way to pay is not available just now.", "Choose another way.")
_NOT_APPROVED = Decline("The payment was not approved.", _OTHER_WAY)
_CANCELLED = Decline("The payment was cancelled before it was approved.", _OTHER_WAY)
_TOO_LATE = Decline("The payment was not approved in time.", _OTHER_WAY)
OTHER_DECLINE: Final = Decline("Your bank declined the payment and did not say why.", _OTHER_CARD)
"""For every other code, a lost or stolen card among them: a thief may read the text."""
DECLINES: Final[Mapping[str, Decline]] = {
    "insufficient_funds": Decline("There is not enough money on this card.", _OTHER_CARD),
    "expired_card": _EXPIRED,
    "expired_payment_method": _EXPIRED,
    "incorrect_cvc": _CODE,
    "invalid_cvc": _CODE,
    "incorrect_number": _NUMBER,
    "invalid_number": _NUMBER,
    "invalid_expiry_month": _EXPIRY,
    "invalid_expiry_year": _EXPIRY,
    "incorrect_zip": _POSTCODE,
    "postal_code_invalid": _POSTCODE,
    "card_velocity_exceeded": _LIMIT,
    "card_decline_rate_limit_exceeded": _LIMIT,
    "withdrawal_count_limit_exceeded": _LIMIT,
    "card_not_supported": _UNUSABLE,
    "payment_method_restricted": _UNUSABLE,
    "currency_not_supported": Decline("This card cannot pay in this currency.", _OTHER_CARD),
    "payment_method_currency_mismatch": Decline("This card cannot pay in this currency.", _OTHER_CARD),
    "duplicate_transaction": Decline(
        "Your bank has just seen a payment of the same amount.",
        "Look at the invoice before you pay again.",
    ),
    "processing_error": _NOT_NOW,
    "try_again_later": _NOT_NOW,
    "reenter_transaction": _NOT_NOW,
    "issuer_not_available": _NOT_NOW,
    "authentication_required": _CONFIRM,
    "authentication_not_handled": _CONFIRM,
    "payment_intent_authentication_failure": _NOT_CONFIRMED,
    "setup_intent_authentication_failure": _NOT_CONFIRMED,
    "payment_method_not_available": _NOT_AVAILABLE,
    "payment_method_unactivated": _NOT_AVAILABLE,
    "payment_method_customer_decline": _CANCELLED,
    "payment_method_provider_timeout": _TOO_LATE,
    "payment_intent_payment_attempt_expired": _TOO_LATE,
    "payment_method_provider_decline": _NOT_APPROVED,
    "payment_intent_payment_attempt_failed": _NOT_APPROVED,
}
"""By Stripe's decline code, else its error code."""

OTHER_OFF_CARD: Final = Decline("The payment was declined, and we were not told why.", _OTHER_WAY)
OFF_CARD: Final[Mapping[str, Decline]] = {
    "insufficient_funds": Decline("There is not enough money in the account.", _OTHER_WAY),
    "payment_intent_authentication_failure": _CANCELLED,
    "currency_not_supported": Decline("This way to pay cannot take this currency.", _OTHER_WAY),
    "payment_method_currency_mismatch": Decline("This way to pay cannot take this currency.", _OTHER_WAY),
    "payment_method_restricted": _NOT_AVAILABLE,
    "processing_error": Decline("The payment could not be processed just now.", "Try again in a moment."),
    "debit_not_authorized": Decline("This debit was not allowed by the account's holder.", _OTHER_ACCOUNT),
    "account_closed": Decline("This bank account is closed.", _OTHER_ACCOUNT),
    "no_account": Decline("This account is not known.", "Check its number, or pay another way."),
    "bank_account_unusable": Decline("This bank account cannot be debited.", _OTHER_ACCOUNT),
    "invalid_bank_account_iban": Decline("The IBAN is not right.", "Check it and try again."),
    "charge_exceeds_source_limit": Decline("This is more than can be debited at once.", _OTHER_WAY),
    "charge_exceeds_weekly_limit": Decline("This is more than can be debited in a week.", _OTHER_WAY),
}
"""Where the words differ for a way to pay that is no card. Stripe reports a cancel on its page as the first code."""
KNOWN_DECLINES: Final = frozenset({*DECLINES, *OFF_CARD})
"""The codes with words of their own."""

_DEBITS: Final[Mapping[str | None, Decline]] = {
    "payment_intent_payment_attempt_failed": Decline(
        "Your bank did not pay the debit.", "Ask it, or choose another way."
    ),
}
"""Where the words differ for a bank debit, which fails after days."""

_ANOTHER = "Use another card."
_NOT_SAVED: Final[Mapping[str, Decline]] = {
    "": Decline("Your bank declined this card and did not say why.", _ANOTHER),
    "processing_error": Decline("Your bank could not check the card just now.", "Try again in a moment."),
    "try_again_later": Decline("Your bank could not check the card just now.", "Try again in a moment."),
    "reenter_transaction": Decline("Your bank could not check the card just now.", "Try again in a moment."),
    "issuer_not_available": Decline("Your bank could not check the card just now.", "Try again in a moment."),
    "authentication_required": Decline("Your bank wants you to confirm the card.", _CONFIRM.advice),
    "authentication_not_handled": Decline("Your bank wants you to confirm the card.", _CONFIRM.advice),
    "setup_intent_authentication_failure": Decline(
        "Your bank could not confirm that it was you.", "Try again and follow its steps, or use another card."
    ),
    "card_not_supported": Decline("This card cannot be saved.", _ANOTHER),
    "payment_method_restricted": Decline("This card cannot be saved.", _ANOTHER),
    "insufficient_funds": Decline("There is not enough money on this card.", _ANOTHER),
    "expired_card": Decline("This card has expired.", _ANOTHER),
    "expired_payment_method": Decline("This card has expired.", _ANOTHER),
    "currency_not_supported": Decline("This card cannot be used in the clinic's currency.", _ANOTHER),
}

TROUBLE: Final[Mapping[str, Decline]] = {
    "rate_limit_error": Decline("Too many payments are being made just now.", "Try again in a minute."),
    "authentication_error": Decline("The clinic cannot take payments here just now.", "Ask the clinic."),
    "invalid_request_error": Decline(
        "This could not be done.", "Load this page again and try once more, or ask the clinic."
    ),
}
"""By the type of Stripe's error: each proves that nothing was done. Another type without a code proves nothing."""
NOTHING_TAKEN: Final = "No money was taken."
"""Said only where it is certain (ADR 30)."""
UNKNOWN_OUTCOME: Final = Decline(
    "We do not know yet whether your payment went through.", "Look at it before you pay again."
)
UNKNOWN_SAVING: Final = Decline(
    "We do not know yet whether your card was saved.", "Look at your saved cards before you try again."
)

_CARDS = ("card", "link")


def decline(code: str | None, method: str | None = None) -> Decline:
    """The reason for this code of Stripe's, of a payment by this kind of method; a general one for an unknown code."""
    off_card = method is not None and method not in _CARDS
    if method in DEBIT_CAPABILITIES and code in _DEBITS:
        return _DEBITS[code]
    reasons = {**DECLINES, **OFF_CARD} if off_card else DECLINES
    return reasons.get(code or "", OTHER_OFF_CARD if off_card else OTHER_DECLINE)


def not_saved() -> dict[str, Decline]:
    """The reasons why a card was not saved, by Stripe's code; under "" the one for every other code."""
    return {**{code: words for code, words in DECLINES.items() if words.of_card}, **_NOT_SAVED}
