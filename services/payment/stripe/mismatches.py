"""Events of Stripe's that name a row of ours and do not fit it: one error for each way."""

from services.chassis.errors import DomainError


class StripeMismatch(DomainError):
    """A signed event that names a row of ours and does not fit it. It is parked, for a person to look at."""

    code = "stripe_mismatch"
    status = 409


class WrongAccount(StripeMismatch):
    code = "stripe_wrong_account"


class WrongMode(StripeMismatch):
    code = "stripe_wrong_mode"


class WrongIntent(StripeMismatch):
    code = "stripe_wrong_intent"


class WrongClinic(StripeMismatch):
    code = "stripe_wrong_clinic"


class WrongCharge(StripeMismatch):
    """Another amount, currency or customer than the row's, or a success that names no amount."""

    code = "stripe_wrong_charge"
