"""A clinic's Stripe account: bodies of the payment service."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from contracts.http.common import Answer, Request
from contracts.vocabulary import ACCEPTED_METHODS, AcceptedMethod, AccountProblem, ChargedOn

StripeAccountId = Annotated[str, Meta(pattern=r"^acct_[A-Za-z0-9]{1,60}$(?!\n)")]


class AccountIn(Request, frozen=True, kw_only=True):
    """The clinic's own Stripe account, or the platform's (`platform_account`: true), or null for none.

    Raises when it names both, or nothing at all.
    """

    stripe_account_id: StripeAccountId | UnsetType | None = UNSET
    platform_account: bool = False

    def __post_init__(self) -> None:
        own, nothing = isinstance(self.stripe_account_id, str), self.stripe_account_id is UNSET
        if self.platform_account == own and (own or nothing):
            raise ValueError("Name one: `stripe_account_id` (null for none), or `platform_account`: true.")


class AccountOut(Answer, frozen=True, kw_only=True):
    """The choice for the clinic, and where its clients' money goes by it.

    `none`: no payment starts. With Stripe's test keys, money of a clinic without a choice goes to the `platform`.

    Without `takes_payments` online payment is offered nowhere; `problem` says why, `disabled_reason` is Stripe's own.
    `methods` are the ways to pay that the account has the capabilities for, `debit_currencies` the currencies in which
    it can debit bank accounts, `systems` the online payment systems by Stripe's names, as far as they are known.
    """

    stripe_account_id: str | None
    platform_account: bool
    charged_on: ChargedOn
    takes_payments: bool = True
    problem: AccountProblem | None = None
    disabled_reason: str | None = None
    methods: tuple[AcceptedMethod, ...] = ACCEPTED_METHODS
    debit_currencies: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()

    def takes(self, way: str, currency: str) -> bool:
        """Whether the account can charge in this way, in this currency."""
        return way in self.methods and (way != "debit" or currency in self.debit_currencies)
