"""Clients and their saved methods at Stripe: made, checked, renewed and forgotten. No connection is held during a call.

An id that Stripe does not know any more is not kept: a customer is made again under a new key, a method is forgotten.
"""

import asyncio
from uuid import UUID

from contracts.consents import Consent
from services.chassis.db.database import Transaction
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.payment.accounts import actions as accounts_actions
from services.payment.accounts import stripe_calls as accounts
from services.payment.accounts.domain import AccountCannotCharge
from services.payment.consents import store as consents
from services.payment.methods import changes
from services.payment.methods import store as methods
from services.payment.methods.domain import MethodNotFound, SavedMethod
from services.payment.stripe import fields
from services.payment.stripe.answers import KeySpent, StripeFailed, StripeGone, StripeRefused
from services.payment.stripe.api import StripeApi
from services.payment.stripe.budget import starting

CHECK_SECONDS = 2.0
"""How long a page waits for Stripe's list of a client's saved methods."""
_NO_METHOD = "This saved card is no longer there. Choose another way to pay."


async def ensure(
    transaction: Transaction, stripe: StripeApi, clinic_id: UUID, client_id: UUID, account: str
) -> str:
    """The Stripe id of the client's customer on the account, made with a key that is committed first."""
    try:
        return await _ensure(transaction, stripe, clinic_id, client_id, account)
    except KeySpent:
        return await _ensure(transaction, stripe, clinic_id, client_id, account)


async def _ensure(
    transaction: Transaction, stripe: StripeApi, clinic_id: UUID, client_id: UUID, account: str
) -> str:
    async with transaction() as tx:
        customer = await methods.claim_customer(tx, clinic_id, client_id, account)
    if customer.stripe_id is not None:
        return customer.stripe_id
    try:
        stripe_id = await stripe.create_customer(account, customer.metadata, customer.idempotency_key)
    except (StripeFailed, StripeRefused):
        # Stripe may say the same to this key for a day. A customer that it made all the same holds nothing.
        async with transaction() as tx:
            await methods.renew_customer_key(tx, customer)
        raise
    async with transaction() as tx:
        await methods.keep_customer(tx, customer, stripe_id)
    return stripe_id


async def renew(
    transaction: Transaction, clinic_id: UUID, client_id: UUID, account: str, stripe_id: str
) -> None:
    """Forget a customer that Stripe does not know any more, with its methods. The next use makes another one."""
    async with transaction() as tx:
        await changes.forget_customer(tx, account, stripe_id)


async def start_setup(
    transaction: Transaction,
    stripe: StripeApi,
    clinic_id: UUID,
    client_id: UUID,
    agreed: Consent | None = None,
) -> tuple[str, str]:
    """(client secret, account) of a SetupIntent with which the client saves a card without paying.

    `agreed` is kept before Stripe is called.
    """
    account = await _account_to_charge(transaction, stripe, clinic_id)
    who = (clinic_id, client_id, account)
    if agreed is not None:
        async with transaction() as tx:
            await consents.add_consent(tx, *who, agreed)
    try:
        return await _setup(transaction, stripe, *who), account
    except StripeGone:
        return await _setup(transaction, stripe, *who), account


async def _account_to_charge(transaction: Transaction, stripe: StripeApi, clinic_id: UUID) -> str:
    """Raises `NoStripeAccount`, `AccountCannotCharge` once Stripe says so now."""
    try:
        async with transaction() as tx:
            return await accounts_actions.get_account_to_charge(tx, clinic_id, stripe.livemode)
    except AccountCannotCharge:
        await accounts.check_again(transaction, stripe, clinic_id)
    async with transaction() as tx:
        return await accounts_actions.get_account_to_charge(tx, clinic_id, stripe.livemode)


async def _setup(
    transaction: Transaction, stripe: StripeApi, clinic_id: UUID, client_id: UUID, account: str
) -> str:
    """Raises `StripeGone` when the customer was gone, which is renewed then."""
    async with transaction() as tx:
        customer = await methods.claim_customer(tx, clinic_id, client_id, account)
    stripe_id = await ensure(transaction, stripe, clinic_id, client_id, account)
    try:
        return await stripe.create_setup_intent(account, stripe_id, customer.metadata, f"setup-{new_id()}")
    except StripeGone:
        await renew(transaction, clinic_id, client_id, account, stripe_id)
        raise


async def check_method(transaction: Transaction, stripe: StripeApi, client_id: UUID, method_id: UUID) -> None:
    """Raises `MethodNotFound` for a saved method that Stripe does not know any more, and forgets it."""
    async with transaction() as tx:
        method = await methods.get_method(tx, client_id, method_id)
    if method is None:
        raise MethodNotFound(_NO_METHOD)
    try:
        found = await stripe.retrieve_method(method.account, method.stripe_id)
    except StripeGone:
        found = {}
    if fields.text_of(found.get("customer")) is None:
        await forget(transaction, method)
        raise MethodNotFound(_NO_METHOD)


async def check_kept(
    transaction: Transaction, stripe: StripeApi, clinic_id: UUID, client_id: UUID, account: str
) -> None:
    """Forget the client's saved methods that Stripe has no more, whose event was lost. Without an answer all stay."""
    async with transaction() as tx:
        known = await methods.get_customer_with_methods(tx, client_id, account)
    if known is None:
        return
    customer, held = known
    try:
        with starting():
            async with asyncio.timeout(CHECK_SECONDS):
                found = await stripe.list_methods(account, customer)
    except StripeGone:
        await renew(transaction, clinic_id, client_id, account, customer)
    except (DomainError, TimeoutError):
        return
    else:
        gone = held - found
        if gone:
            async with transaction() as tx:
                await methods.remove_methods(tx, {(account, each) for each in gone})


async def forget(transaction: Transaction, method: SavedMethod) -> None:
    """Mark a method as removed here: Stripe has it no more, or has it of no customer, which is for good."""
    async with transaction() as tx:
        await methods.remove_methods(tx, {(method.account, method.stripe_id)})


async def remove_method(
    transaction: Transaction, stripe: StripeApi, client_id: UUID, method_id: UUID
) -> SavedMethod:
    """Detach a saved card at Stripe, however often it was saved, then mark it as removed. Raises `MethodNotFound`."""
    async with transaction() as tx:
        method = await methods.get_method(tx, client_id, method_id)
        if method is None:
            raise MethodNotFound("There is no such saved payment method.")
        same = await methods.list_same(tx, method)
    for each in same:
        await stripe.detach_method(each.account, each.stripe_id)
        await forget(transaction, each)
    return method
