"""Stripe's test bank accounts, and what becomes of a debit of each. Source: Stripe's page "Testing" (2026)."""

from dataclasses import dataclass

from deploy.sandbox.errors import StripeError, invalid


@dataclass(frozen=True)
class Account:
    failure: str | None = None
    """The debit fails with this code, once the bank has looked."""
    disputed: bool = False
    """It succeeds, and is then disputed and lost at once."""
    stays: bool = False
    """It is processing for ever."""
    refused: str | None = None
    """It cannot be confirmed: the code."""


_FAILS = Account("debit_not_authorized")
_POOR = Account("insufficient_funds")
_DISPUTED = Account(disputed=True)
SEPA = {
    **dict.fromkeys(("AT861904300235473202", "AT051904300235473205"), _FAILS),
    **dict.fromkeys(("DE62370400440532013001", "DE78370400440532013004"), _FAILS),
    "AT591904300235473203": _DISPUTED,
    "DE35370400440532013002": _DISPUTED,
    "AT981904300002222227": _POOR,
    "AT981904300000343434": Account(refused="charge_exceeds_source_limit"),
    "AT601904300000121212": Account(refused="charge_exceeds_weekly_limit"),
    "AT511904300000066666": Account(refused="bank_account_unusable"),
}
"""By IBAN: the last digits mean other things in each country. All others are good."""
ACH = {
    "000111111113": Account("account_closed"),
    "000111111116": Account("no_account"),
    "000222222227": _POOR,
    "000333333335": Account("debit_not_authorized"),
    "000444444440": Account("invalid_currency"),
    "000555555559": _DISPUTED,
    "000777777771": Account(refused="payment_intent_payment_attempt_failed"),
    "000000004954": Account(refused="payment_intent_payment_attempt_failed"),
    "000000000009": Account(stays=True),
}
"""By account number, all with the routing number 110000000. All others are good."""
GOOD = Account()


def iban_of(given: str) -> str:
    """The IBAN without spaces, in capitals; Stripe's refusal of what can be none."""
    iban = given.replace(" ", "").upper()
    if not (15 <= len(iban) <= 34 and iban.isalnum() and _passes_check(iban)):
        raise invalid(
            "The IBAN you provided is invalid.", "invalid_bank_account_iban", param="sepa_debit[iban]"
        )
    return iban


def _passes_check(iban: str) -> bool:
    """The remainder of ISO 13616."""
    moved = iban[4:] + iban[:4]
    return moved.isascii() and int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def refusal(code: str) -> StripeError:
    return invalid("The bank account cannot be debited.", code, param="payment_method")
