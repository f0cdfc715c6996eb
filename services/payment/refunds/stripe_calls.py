"""Refunds at Stripe: transactions before and after a call, and no connection held during it.

`send` is for the request that made them; `sweep` asks for refunds without an answer or a webhook.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

from contracts.vocabulary import RETURNED_REFUNDS
from services.chassis import clock
from services.chassis.db.database import Connection
from services.chassis.errors import Unavailable
from services.chassis.http.auth import Caller
from services.chassis.incidents import incidents
from services.chassis.locale.money import from_stripe
from services.payment.payments import reads
from services.payment.payments.domain import Payment
from services.payment.refunds import actions as refunds_actions
from services.payment.refunds import changes
from services.payment.refunds import store as refunds
from services.payment.refunds.domain import LOST_AFTER, Refund, RefundRequest
from services.payment.refunds.elsewhere import AtStripe, NotLookedUp
from services.payment.refunds.stripe_params import new_refund
from services.payment.stripe.answers import (
    AccountRefused,
    KeyRefused,
    StripeFailed,
    StripeGone,
    StripeMisconfigured,
    StripeRefused,
)
from services.payment.stripe.api import StripeApi
from services.payment.stripe.fields import int_of, object_of
from services.payment.stripe.limits import KEY_LIFE

Transaction = Callable[[], AbstractAsyncContextManager[Connection]]


class StillUnknown(Unavailable):
    """An earlier call may have sent the refund, and its account cannot be asked now. The credit stays set aside."""

    code = "refund_unknown"


async def start(
    transaction: Transaction,
    stripe: StripeApi,
    caller: Caller,
    request: RefundRequest,
    *,
    key: str | None,
    body: bytes,
) -> list[Refund]:
    """Read each payment's charge at Stripe, then make and commit the refunds.

    Raises what `refunds_actions.start_refunds_once` and the calls to Stripe raise, with nothing changed.
    """
    seen: dict[UUID, AtStripe] = {}
    while True:  # ends: each round asks for payments that no round before asked for
        try:
            async with transaction() as tx:
                return await refunds_actions.start_refunds_once(
                    tx, caller, request, stripe.livemode, seen, stripe.signer, key=key, body=body
                )
        except NotLookedUp as missing:
            unseen = missing.payment_ids
        async with transaction() as tx:
            found = [await reads.get_payment(tx, request.client_id, payment_id) for payment_id in unseen]
        for payment in found:
            assert payment is not None, "it is planned to be refunded"
            seen[payment.id] = await _look_up(stripe, payment)


async def _look_up(stripe: StripeApi, payment: Payment) -> AtStripe:
    assert payment.intent_id is not None, "it has succeeded"
    intent = await stripe.retrieve_intent(payment.account, payment.intent_id)
    charge = object_of(intent.body.get("latest_charge"))
    bodies = []
    if charge.get("amount_refunded"):
        bodies = await stripe.list_refunds(payment.account, payment.intent_id)
    # Not the charge's own sum: it is not documented whether that falls again when a refund fails.
    refunded = sum(
        int_of(each.get("amount")) or 0 for each in bodies if each.get("status") not in RETURNED_REFUNDS
    )
    return AtStripe(_at_least(refunded, payment.currency), charge.get("disputed") is True)


def _at_least(amount: int, currency: str) -> int:
    """Stripe's amount in our minor units, rounded up: its dashboard can refund a part of our minor unit."""
    minor = from_stripe(amount, currency)
    return minor if minor is not None else _at_least(amount + 1, currency)


async def send(
    transaction: Transaction, stripe: StripeApi, clinic_id: UUID, made: list[Refund]
) -> list[Refund]:
    """Send committed refunds to Stripe, and return their new state. The sweeper repeats calls without an answer."""
    for refund in made:
        if refund.status == "created":
            try:
                await ensure(transaction, stripe, refund)
            except Unavailable as error:
                incidents.failed("refund_not_sent", reason=error.code, refund_id=str(refund.id))
            else:
                incidents.worked("refund_not_sent")
    async with transaction() as tx:
        return await refunds.get_refunds(tx, clinic_id, [refund.id for refund in made])


async def ensure(transaction: Transaction, stripe: StripeApi, refund: Refund) -> Mapping[str, Any] | None:
    """Stripe's refund as it is now: retrieved, or made with the key that was committed. None: it was given up.

    Raises `Unavailable` while the outcome is unknown.
    """
    if refund.livemode != stripe.livemode:
        raise StillUnknown(
            "The refund was made in the other mode, which this key cannot see.", retry_after=60
        )
    if refund.stripe_refund_id is not None:
        return await stripe.retrieve_refund(refund.account, refund.stripe_refund_id)
    try:
        found = await _make_or_find(transaction, stripe, refund, clock.now() - refund.created_at)
    except (StripeRefused, AccountRefused, KeyRefused) as refused:
        reason = refused.fields.get("stripe_code") or "refused"
        async with transaction() as tx:
            await changes.give_up_refund(tx, refund.key, "failed", str(reason))
        return None
    async with transaction() as tx:
        if found is None:
            await changes.give_up_refund(tx, refund.key, "canceled", "never_reached_stripe")
        else:
            await refunds.keep_refund(tx, refund, str(found["id"]))
    return found


async def _make_or_find(
    transaction: Transaction, stripe: StripeApi, refund: Refund, age: timedelta
) -> Mapping[str, Any] | None:
    """Stripe's refund; None when it provably has none.

    Raises `StripeRefused`, `AccountRefused`, `KeyRefused` when a refusal proves the same, and `Unavailable` while the
    outcome is unknown.
    """
    if age > KEY_LIFE:
        return await _find(stripe, refund)
    async with transaction() as tx:
        first = await refunds.claim_first_call(tx, refund)
    try:
        return await stripe.create_refund(new_refund(refund), first=first)
    except StripeMisconfigured as refused:
        if first:
            raise
        raise StillUnknown(refused.detail, retry_after=refused.retry_after) from None
    except StripeRefused:
        # An earlier call may have made the refund, and its answer was lost.
        found = None if first else await _find(stripe, refund)
        if found is None:
            raise
        return found
    except StripeFailed:
        # With the same key Stripe repeats this error, although the refund may exist.
        found = await _find(stripe, refund)
        if found is None and age < LOST_AFTER:
            raise
        return found


async def _find(stripe: StripeApi, refund: Refund) -> Mapping[str, Any] | None:
    """The refund that an earlier call made. Raises `StillUnknown` while the account cannot be asked.

    A search that is refused proves nothing of the refund: only the answer to its own call does.
    """
    try:
        return await stripe.find_refund(new_refund(refund))
    except StripeGone:
        return None  # The account has no such payment, and so no refund of it.
    except (StripeRefused, StripeMisconfigured) as refused:
        raise StillUnknown(refused.detail, retry_after=StripeMisconfigured.again) from None
