"""Which Stripe account a clinic's clients are charged on. Pure.

The account is a text as the tables have it: `acct_…`, or `PLATFORM` for the platform's own.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from contracts.currencies import SYSTEMS
from contracts.events.account import AccountUpdated
from contracts.events.envelope import event_id
from contracts.vocabulary import (
    ACCEPTED_METHODS,
    DEBIT_CAPABILITIES,
    DEBIT_TYPES,
    AccountProblem,
    ChargedOn,
)
from services.chassis.errors import DomainError
from services.payment.stripe.limits import NEVER

PLATFORM = ""
ALL_WAYS = frozenset((*ACCEPTED_METHODS, *DEBIT_CAPABILITIES))
"""While nothing is known of an account."""


class NoStripeAccount(DomainError):
    """Live money would go to an account that the operator never chose."""

    code = "no_stripe_account"
    status = 409


class AccountCannotCharge(DomainError):
    """Stripe lets the account take no payment: it is switched off, or we have no access to it."""

    code = "account_cannot_charge"
    status = 409
    message: ClassVar[str] = (
        "The clinic cannot take payments online at the moment. Nothing was taken. Please contact the clinic to pay."
    )


@dataclass(frozen=True, slots=True)
class ClinicAccount:
    """The operator's choice for a clinic: its own account, the platform's, or none so far."""

    own: str | None = None
    platform: bool = False

    @property
    def account(self) -> str:
        """The account to charge on, if there is a choice or money is not live."""
        return self.own or PLATFORM


NONE = ClinicAccount()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """The abilities of an account at Stripe. `ways` are the ways to pay that it can charge; none with a `problem`.

    Beside `debit` they hold Stripe's types of debit, of which each currency has its own; beside `redirect` the types of
    online payment systems.
    `seen_at` is Stripe's time of the newest state applied. `is_doubtful`: Stripe has to be asked which state is newer.
    """

    account: str
    problem: AccountProblem | None = None
    disabled_reason: str | None = None
    ways: frozenset[str] = ALL_WAYS
    seen_at: datetime = NEVER
    is_doubtful: bool = False

    def takes(self, way: str, currency: str) -> bool:
        """Whether it can charge in this way, in this currency."""
        return way in self.ways and (way != "debit" or DEBIT_TYPES.get(currency) in self.ways)

    def says_the_same(self, other: "AccountState") -> bool:
        return (self.problem, self.disabled_reason, self.ways) == (
            other.problem,
            other.disabled_reason,
            other.ways,
        )


def unreachable(account: str, at: datetime) -> AccountState:
    """The state of an account that Stripe refuses us access to."""
    return AccountState(account=account, problem="no_access", ways=frozenset(), seen_at=at)


def state_of(
    account: str,
    at: datetime,
    charges_enabled: bool,
    disabled_reason: str | None,
    capabilities: Collection[str] | None,
) -> AccountState:
    """The state of an account; `capabilities` are the active ones, None when Stripe says nothing of them."""
    ways = ways_of(capabilities) if charges_enabled else frozenset()
    problem: AccountProblem = "no_way_to_pay" if charges_enabled else "charges_disabled"
    return AccountState(
        account=account,
        problem=None if ways else problem,
        disabled_reason=disabled_reason,
        ways=ways,
        seen_at=at,
    )


_OF_CARDS = frozenset({"card_payments", "cartes_bancaires_payments", "jcb_payments", "link_payments"})
"""Capabilities without which no card is charged, or which only add a network or a wallet to cards."""


def ways_of(capabilities: Collection[str] | None) -> frozenset[str]:
    """The ways to pay for which an account has an active capability, its types of bank debit, and its online payment
    systems that we have names of."""
    if capabilities is None:
        return ALL_WAYS
    debits = {kind for kind, needed in DEBIT_CAPABILITIES.items() if needed in capabilities}
    others = set(capabilities) - _OF_CARDS - set(DEBIT_CAPABILITIES.values())
    systems = any(each.endswith("_payments") for each in others)
    named = {kind for kind in SYSTEMS if f"{kind}_payments" in others}
    able = {"card": "card_payments" in capabilities, "redirect": systems, "debit": bool(debits)}
    return frozenset(way for way in ACCEPTED_METHODS if able[way]) | debits | named


def newer(known: AccountState, seen: AccountState) -> AccountState:
    """The state after an observation. Where two differ and either may be the later one, Stripe is to be asked.

    Stripe's clock has whole seconds, and an answer is dated by our own clock, when it was asked for. In doubt the
    account cannot charge.
    """
    if known.says_the_same(seen):
        return replace(known, seen_at=max(known.seen_at, seen.seen_at))
    is_newer = seen.seen_at > known.seen_at
    if _second(seen) == _second(known):
        return replace(seen if is_newer or seen.problem else known, is_doubtful=True)
    return replace(seen, is_doubtful=known.is_doubtful) if is_newer else replace(known, is_doubtful=True)


def _second(state: AccountState) -> datetime:
    return state.seen_at.replace(microsecond=0)


def charged_on(chosen: ClinicAccount, livemode: bool) -> ChargedOn:
    """Where money of the clinic's clients goes.

    Without a choice, test money goes to the platform, so that an installation works before Stripe accounts are
    connected. Live money never does.
    """
    if chosen.own is not None:
        return "own"
    return "platform" if chosen.platform or not livemode else "none"


def account_to_charge(chosen: ClinicAccount, livemode: bool, state: AccountState | None = None) -> str:
    """The account for a new payment or saved card. Raises `NoStripeAccount`, `AccountCannotCharge`."""
    if charged_on(chosen, livemode) == "none":
        raise NoStripeAccount(
            "This clinic is not set up for payments online. Please contact the clinic to pay."
        )
    if state is not None and state.problem is not None:
        raise AccountCannotCharge(AccountCannotCharge.message)
    return chosen.account


class AccountInUse(DomainError):
    code = "stripe_account_in_use"
    status = 409


def event_about(clinic_id: UUID, takes_payments: bool, version: int, at: datetime) -> AccountUpdated:
    """Build the state event of the clinic's version."""
    return AccountUpdated(
        id=event_id(at, AccountUpdated.topic.name, clinic_id, version),
        time=at,
        clinic_id=clinic_id,
        version=version,
        takes_payments=takes_payments,
    )
