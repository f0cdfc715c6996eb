"""Verbs that call Stripe: transactions before and after a call, and no connection held during it.

They take `transaction`, which opens one: of a clinic for requests, of the worker for jobs.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from services.chassis.db import Connection
from services.chassis.ids import new_id
from services.payment import actions, observations, stripe_json
from services.payment.domain import MethodNotFound, Payment, PaymentInProgress, SavedMethod
from services.payment.starting import Wish
from services.payment.store import lookups, methods, payments
from services.payment.stripe_api import (
    Intent,
    IntentMoved,
    StripeApi,
    StripeBusy,
    StripeFailed,
    StripeRefused,
    key_is_fresh,
)

Transaction = Callable[[], AbstractAsyncContextManager[Connection]]

MOST_STARTS = 3
"""How often a start begins anew after it had to cancel other attempts, or found its own canceled."""
BUSY_PAUSES = (0.1, 0.3, 0.9)
"""Seconds between looks at an intent that another request is just making."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A payment that a page can confirm."""

    payment: Payment
    intent: Intent
    saved_method: str | None
    is_new: bool


async def start(transaction: Transaction, stripe: StripeApi, clinic_id: UUID, wish: Wish) -> Ready:
    """The client's payment for a wish, with its PaymentIntent. Other live attempts are canceled first.

    Raises what `actions.start_payment` and the calls to Stripe raise; after an unknown outcome, asking again heals.
    """
    for _ in range(MOST_STARTS):
        async with transaction() as tx:
            started = await actions.start_payment(tx, clinic_id, wish, stripe.livemode, stripe.signer)
        for stale in started.stale:
            await cancel(transaction, stripe, stale)
        if started.payment is not None:
            intent = await ensure_intent(transaction, stripe, started.payment)
            if intent is not None and intent.status != "canceled":
                return Ready(started.payment, intent, started.saved_method, started.is_new)
            await observe(transaction, started.payment, intent)
    raise PaymentInProgress("Another payment for this invoice is being made. Please try again in a moment.")


async def ensure_intent(
    transaction: Transaction, stripe: StripeApi, payment: Payment, *, look_up: bool = False
) -> Intent | None:
    """The payment's intent as it is now: retrieved, or made with the key that was committed with the payment.

    `look_up`, or a key too old, makes none any more. None: the payment was given up, and holds nothing.
    """
    for pause in BUSY_PAUSES:
        try:
            return await _ensure_intent(transaction, stripe, payment, look_up)
        except StripeBusy:
            await asyncio.sleep(pause)
            async with transaction() as tx:
                payment = await lookups.get_payment(tx, payment.client_id, payment.id) or payment
    return await _ensure_intent(transaction, stripe, payment, look_up)


async def _ensure_intent(
    transaction: Transaction, stripe: StripeApi, payment: Payment, look_up: bool
) -> Intent | None:
    if payment.intent_id is not None:
        return await stripe.retrieve_intent(payment.account, payment.intent_id)
    if look_up or not key_is_fresh(payment, datetime.now(UTC)):
        return await _find_intent(transaction, stripe, payment)
    try:
        customer = await _customer_of(transaction, stripe, payment)
        intent = await stripe.create_intent(payment, customer)
    except StripeRefused as refused:
        async with transaction() as tx:
            await actions.give_up_payment(tx, payment.key, refused.fields.get("stripe_code"))
        raise
    except StripeFailed:
        # Asked again with its key, Stripe would fail again; the intent may be there all the same.
        found = await stripe.find_intent(payment)
        if found is None:
            raise
        intent, customer = found, stripe_json.text_of(found.body.get("customer"))
    async with transaction() as tx:
        status = await payments.keep_intent(tx, payment, intent.id, customer)
    # Given up meanwhile, it reserves nothing: nobody may be given its secret.
    return None if status == "canceled" else intent


async def _find_intent(transaction: Transaction, stripe: StripeApi, payment: Payment) -> Intent | None:
    """What an earlier call made, if its answer was lost; proof of its absence ends the payment."""
    intent = await stripe.find_intent(payment)
    async with transaction() as tx:
        if intent is None:
            await actions.give_up_payment(tx, payment.key, "never_reached_stripe")
            return None
        customer = stripe_json.text_of(intent.body.get("customer"))
        await payments.keep_intent(tx, payment, intent.id, customer)
    return intent


async def _customer_of(transaction: Transaction, stripe: StripeApi, payment: Payment) -> str | None:
    if not payment.save and payment.kind != "saved":
        return None
    return await ensure_customer(transaction, stripe, payment.clinic_id, payment.client_id, payment.account)


async def ensure_customer(
    transaction: Transaction, stripe: StripeApi, clinic_id: UUID, client_id: UUID, account: str
) -> str:
    """The Stripe id of the client's customer on the account, made with a key that is committed first."""
    async with transaction() as tx:
        customer = await methods.claim_customer(tx, clinic_id, client_id, account)
    if customer.stripe_id is not None:
        return customer.stripe_id
    try:
        stripe_id = await stripe.create_customer(customer)
    except StripeFailed:
        # Stripe would fail again under this key for a day. A customer that it made all the same holds nothing.
        async with transaction() as tx:
            await methods.renew_customer_key(tx, customer)
        raise
    async with transaction() as tx:
        await methods.keep_customer(tx, customer, stripe_id)
    return stripe_id


async def cancel(transaction: Transaction, stripe: StripeApi, payment: Payment) -> None:
    """End an attempt for good: once Stripe has confirmed it, its reservations are released.

    Raises `IntentMoved` when its money is on the way or has come.
    """
    try:
        if payment.intent_id is None:
            made = await ensure_intent(transaction, stripe, payment)
            if made is None:
                return
            payment = replace(payment, intent_id=made.id)
        intent = await stripe.cancel_intent(payment)
    except IntentMoved:
        assert payment.intent_id is not None
        intent = await stripe.retrieve_intent(payment.account, payment.intent_id)
        if intent.status != "canceled":
            raise
    except StripeRefused:
        if payment.intent_id is not None:
            raise
        return  # Stripe refused to make one, so there is none to cancel.
    await observe(transaction, payment, intent)


async def observe(transaction: Transaction, payment: Payment, intent: Intent | None) -> None:
    """Apply what Stripe says of a payment's intent, as if a webhook had said it."""
    seen = observations.looked_up(intent.body, payment.account, datetime.now(UTC)) if intent else None
    if seen is not None:
        async with transaction() as tx:
            await actions.apply_observations(tx, [seen])


async def start_setup(
    transaction: Transaction, stripe: StripeApi, clinic_id: UUID, client_id: UUID
) -> tuple[str, str]:
    """(client secret, account) of a SetupIntent with which the client saves a card without paying."""
    async with transaction() as tx:
        account = await actions.get_account_to_charge(tx, clinic_id, stripe.livemode)
        customer = await methods.claim_customer(tx, clinic_id, client_id, account)
    stripe_id = await ensure_customer(transaction, stripe, clinic_id, client_id, account)
    secret = await stripe.create_setup_intent(customer, stripe_id, f"setup-{new_id()}")
    return secret, account


async def remove_method(
    transaction: Transaction, stripe: StripeApi, client_id: UUID, method_id: UUID
) -> SavedMethod:
    """Detach a saved method at Stripe, then mark it as removed. Raises `MethodNotFound`."""
    async with transaction() as tx:
        method = await methods.get_method(tx, client_id, method_id)
    if method is None:
        raise MethodNotFound("There is no such saved payment method.")
    await stripe.detach_method(method)
    async with transaction() as tx:
        await methods.remove_methods(tx, {(method.account, method.stripe_id)})
    return method
