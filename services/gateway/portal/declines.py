"""Why a bank said no, in plain words, each with what to do next. Codes are Stripe's decline and error codes."""

OTHERWISE = "Your bank declined the payment. Try again, or pay another way."

WORDS = {
    "insufficient_funds": "There is not enough money on this card. Use another card, or pay another way.",
    "expired_card": "This card has expired. Use another card.",
    "incorrect_cvc": "The security code is not right. Check the digits on the card and try again.",
    "invalid_cvc": "The security code is not right. Check the digits on the card and try again.",
    "incorrect_number": "The card number is not right. Check it and try again.",
    "invalid_number": "The card number is not right. Check it and try again.",
    "invalid_expiry_month": "The expiry date is not right. Check it and try again.",
    "invalid_expiry_year": "The expiry date is not right. Check it and try again.",
    "card_velocity_exceeded": "This card has reached its limit. Use another card, or ask your bank.",
    "withdrawal_count_limit_exceeded": "This card has reached its limit. Use another card, or ask your bank.",
    "card_not_supported": "This card cannot be used for this payment. Use another card, or pay another way.",
    "currency_not_supported": "This card cannot pay in this currency. Use another card, or pay another way.",
    "processing_error": "Your bank could not work on the payment just now. Try again in a moment.",
    "try_again_later": "Your bank could not work on the payment just now. Try again in a moment.",
    "authentication_required": "Your bank wants you to confirm the payment. Try again and follow its steps.",
    "payment_intent_authentication_failure": (
        "Your bank could not confirm that it was you. Try again and follow its steps, or pay another way."
    ),
    "card_declined": "Your bank declined this card and did not say why. Use another card, or pay another way.",
    "generic_decline": "Your bank declined this card and did not say why. Use another card, or pay another way.",
    "do_not_honor": "Your bank declined this card and did not say why. Use another card, or ask your bank.",
    "payment_method_not_available": "This way to pay is not available just now. Choose another way.",
    "payment_method_provider_decline": "The payment was not approved. Try again, or choose another way.",
    "payment_intent_payment_attempt_failed": "The payment was not approved. Try again, or choose another way.",
}


def words(code: str) -> str:
    """What to tell the client; never the bank's own code. No money was taken in any of these cases."""
    return f"{WORDS.get(code, OTHERWISE)} No money was taken."
