"""Asking Stripe what an account can do. No connection is held during the call."""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

from services.chassis import clock
from services.chassis.db.database import Transaction
from services.chassis.errors import Unavailable
from services.payment.accounts import changes, store
from services.payment.accounts.domain import (
    AccountCannotCharge,
    AccountState,
    state_of,
    unreachable,
)
from services.payment.stripe import fields
from services.payment.stripe.answers import AccountRefused
from services.payment.stripe.api import StripeApi


async def ask(transaction: Transaction, stripe: StripeApi, account: str) -> None:
    """Ask Stripe about an account, and keep its answer."""
    at = clock.now()
    try:
        found = await stripe.retrieve_account(account)
    except AccountRefused:
        state = unreachable(account, at)
    else:
        state = _state_in(found, account, at)
    await _keep(transaction, state)


async def note_refusal(transaction: Transaction, account: str) -> None:
    """Keep that Stripe has just refused us access to an account."""
    await _keep(transaction, unreachable(account, clock.now()))


async def check_again(transaction: Transaction, stripe: StripeApi, clinic_id: UUID) -> None:
    """Ask Stripe about the clinic's account now. Raises `AccountCannotCharge` if it still cannot charge.

    While Stripe does not answer, what is known counts.
    """
    async with transaction() as tx:
        chosen = await store.get_account(tx, clinic_id)
    with suppress(Unavailable):
        await ask(transaction, stripe, chosen.account)
    async with transaction() as tx:
        _, state = await store.get_account_and_state(tx, clinic_id)
    if state.problem is not None:
        raise AccountCannotCharge(AccountCannotCharge.message)


async def _keep(transaction: Transaction, state: AccountState) -> None:
    async with transaction() as tx:
        await store.add_state(tx, state.account)
    async with transaction() as tx:
        await changes.apply_states(tx, [state])


def _state_in(found: object, account: str, at: datetime) -> AccountState:
    body = fields.object_of(found)
    return state_of(account, at, *fields.abilities_of(body))
