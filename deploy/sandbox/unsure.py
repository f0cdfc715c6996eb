"""Rules of Stripe's that are not known for sure: settings, so that the product is tested both ways."""

from typing import Literal

import msgspec


class Unsure(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Each setting's default is what was seen, or else what is documented."""

    enforces_minimum: bool = True
    """Documented; a test account was once seen to accept less than the published minimum."""
    maximum: Literal["newer", "older"] = "newer"
    """The digits of the largest amount. `newer`: 12 by card, as documented in 2026; `older`: 8, as until 2025."""
    no_charges_code: Literal["", "testmode_charges_only", "capability_not_active"] = ""
    """The code of the refusal when an account may not charge. No code was seen."""
    checks_capability: bool = True
    """Test accounts were seen to charge without the capability `card_payments`."""
    uneven_code: Literal["", "parameter_invalid_integer", "invalid_charge_amount"] = ""
    """The code of the refusal of 5.124 KWD or of a part of a krona. Nobody has published it."""
    decline_code_repeats_code: bool = True
    """Of `expired_card`, `incorrect_cvc` and `processing_error`. Seen so; the guide to testing says there is none."""
    used_method_code: Literal["", "payment_method_unexpected_state"] = ""
    """The code of the refusal of a method that was used up or detached."""
    permission_code: Literal["", "more_permissions_required"] = "more_permissions_required"
    """The code of the refusal of a restricted key."""
    failed_refund_counts_back: bool = True
    """Whether `amount_refunded` of a charge falls again once its refund has failed."""
    booked_later: bool = False
    """Whether a charge's `balance_transaction` is null at first, and comes with `charge.updated`."""
    dispute_prefix: Literal["du", "dp"] = "du"
    """The beginning of a dispute's id."""


DEFAULT = Unsure()
