"""Which Stripe account a clinic's clients are charged on. Pure.

The account is a text as the tables have it: `acct_…`, or `PLATFORM` for the platform's own.
"""

from dataclasses import dataclass

from contracts.vocabulary import ChargedOn
from services.chassis.errors import DomainError

PLATFORM = ""


class NoStripeAccount(DomainError):
    """Live money would go to an account that the operator never chose."""

    code = "no_stripe_account"
    status = 409


@dataclass(frozen=True, slots=True)
class ClinicAccount:
    """The operator's choice for a clinic: its own account, the platform's, or none so far."""

    own: str | None = None
    platform: bool = False


NONE = ClinicAccount()


def charged_on(chosen: ClinicAccount, livemode: bool) -> ChargedOn:
    """Where money of the clinic's clients goes.

    Without a choice, test money goes to the platform, so that an installation works before Stripe accounts are
    connected. Live money never does.
    """
    if chosen.own is not None:
        return "own"
    return "platform" if chosen.platform or not livemode else "none"


def account_to_charge(chosen: ClinicAccount, livemode: bool) -> str:
    """The account for a new payment or saved card. Raises `NoStripeAccount`."""
    if charged_on(chosen, livemode) == "none":
        raise NoStripeAccount(
            "This clinic is not set up for payments online. Please contact the clinic to pay."
        )
    return chosen.own or PLATFORM


class AccountInUse(DomainError):
    code = "stripe_account_in_use"
    status = 409
