"""The texts that clients agree to, each with a version: shown before the press, and kept with its time.

A changed text gets the next version. The texts of debits are as Stripe's pages on SEPA and ACH
Direct Debit (2026) ask for, with the clinic's name; compare them with the pages before the first live debit.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from contracts.vocabulary import DEBIT_TYPES

ConsentKind = Literal["debit", "off_session"]
"""For what a client gave consent: for the debit of a bank account, or for later charges of a saved method."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A text that a client agrees to. `version` names it: `sepa_debit/1`; `locale` is its language."""

    kind: ConsentKind
    version: str
    locale: str
    text: str

    @property
    def mark(self) -> str:
        """Names exactly this text. A page sends it back with the press, so that what is kept is what was shown."""
        return hashlib.sha256(f"{self.version} {self.locale} {self.text}".encode()).hexdigest()[:16]


_SEPA: Final = (
    "By giving your bank details and pressing Pay, you authorise (A) {clinic} and Stripe, our payment service "
    "provider, to send instructions to your bank to debit your account and (B) your bank to debit your account in "
    "accordance with those instructions. As part of your rights, you are entitled to a refund from your bank under "
    "the terms and conditions of your agreement with your bank. A refund must be claimed within 8 weeks starting "
    "from the date on which your account was debited. Your rights are explained in a statement that you can obtain "
    "from your bank. You agree to receive notifications for future debits up to 2 days before they occur."
)
_ACH: Final = (
    "By giving your bank details and pressing Pay, you authorize {clinic} to debit the bank account that you gave for "
    "the amount of this payment, for services or products of {clinic}. You may revoke this authorization by telling "
    "{clinic} before the debit is sent. If a debit was wrong, {clinic} may credit the same account to correct it."
)
_SAVING: Final = (
    "If you save this card, you agree that {clinic} may charge it later for invoices that it has sent to you, also "
    "while you are not here. Each charge is the amount due of an invoice, and not before it is due. You can end this "
    "at any time: remove the card under Saved methods."
)
_DEBITS: Final = {"sepa_debit": _SEPA, "us_bank_account": _ACH}


def debit(currency: str, clinic: str) -> Consent:
    """The mandate for a debit in this currency, which must be one of `DEBIT_TYPES`."""
    kind = DEBIT_TYPES[currency]
    return Consent("debit", f"{kind}/1", "en", _DEBITS[kind].format(clinic=clinic))


def saving(clinic: str) -> Consent:
    """The consent to later charges of a card that is saved. Nobody is asked again when it is used."""
    return Consent("off_session", "off_session/1", "en", _SAVING.format(clinic=clinic))
