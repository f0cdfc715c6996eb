"""Why a payment failed, in words for the person who tried to pay. Never the bank's own text."""

_FAILURES = {
    "insufficient_funds": "There is not enough money on this card.",
    "expired_card": "This card has expired.",
    "incorrect_cvc": "The security code is not right.",
    "invalid_cvc": "The security code is not right.",
    "incorrect_number": "The card number is not right.",
    "invalid_number": "The card number is not right.",
    "invalid_expiry_month": "The expiry date is not right.",
    "invalid_expiry_year": "The expiry date is not right.",
    "card_velocity_exceeded": "This card has reached its limit for now.",
    "withdrawal_count_limit_exceeded": "This card has reached its limit for now.",
    "currency_not_supported": "This card cannot pay in this currency.",
    "processing_error": "The card could not be processed just now.",
    "authentication_required": "Your bank wants you to confirm this payment.",
    "payment_intent_authentication_failure": "Your bank could not confirm that it was you.",
    "payment_method_provider_decline": "The payment provider declined this payment.",
}
_OTHERWISE = "Your bank declined this payment. It does not say why."


def of_failure(code: str) -> str:
    """A plain sentence for a decline or error code of Stripe's; unknown ones get a general one.

    Codes of lost or stolen cards are among those, since the words may be read by a thief.
    """
    return _FAILURES.get(code, _OTHERWISE)
