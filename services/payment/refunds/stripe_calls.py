"""Refunds at Stripe: transactions before and after a call, and no connection held during it.

`send` is for the request that made them; `sweep` asks for refunds without an answer or a webhook.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from contracts.http.held import PreviewOut
from contracts.vocabulary import RETURNED_REFUNDS, UNREFUNDABLE_DISPUTES, DisputeStatus
from services.chassis import clock
from services.chassis.db.database import Connection, Database, Transaction
from services.chassis.errors import Unavailable
from services.chassis.http.auth import Caller
from services.chassis.incidents import incidents
from services.chassis.locale.money import from_stripe
from services.chassis.queue.domain import Done, Outcome, Task
from services.chassis.queue.working import BetweenTransactions
from services.payment.disputes import store as disputes
from services.payment.payments import reads
from services.payment.payments.domain import Payment
from services.payment.refunds import actions as refunds_actions
from services.payment.refunds import changes
from services.payment.refunds import store as refunds
from services.payment.refunds.domain import LOST_AFTER, Refund, RefundRequest
from services.payment.refunds.elsewhere import AtStripe, NotLookedUp
from services.payment.refunds.held import SEND
from services.payment.refunds.planning import PaymentRefundRequest
from services.payment.refunds.stripe_params import new_refund, seal_refund
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

T = TypeVar("T")


class StillUnknown(Unavailable):
    """An earlier call may have sent the refund, and its account cannot be asked now. The credit stays set aside."""

    code = "refund_unknown"


async def start(
    transaction: Transaction,
    stripe: StripeApi,
    caller: Caller,
    request: RefundRequest | PaymentRefundRequest,
    *,
    key: str | None,
    body: bytes,
) -> list[Refund]:
    """Read each payment's charge at Stripe, then make and commit the refunds.

    Raises what `refunds_actions.start_refunds_once` and the calls to Stripe raise, with nothing changed.
    """

    async def once(tx: Connection, seen: Mapping[UUID, AtStripe]) -> list[Refund]:
        return await refunds_actions.start_refunds_once(
            tx, caller, request, stripe.livemode, seen, stripe.signer, key=key, body=body
        )

    return await _with_looks(transaction, stripe, caller, request, once)


async def preview(
    transaction: Transaction,
    stripe: StripeApi,
    caller: Caller,
    request: RefundRequest | PaymentRefundRequest,
) -> PreviewOut:
    """Read each payment's charge at Stripe, then tell what the refunds would do. It changes nothing.

    Raises what `refunds_actions.preview_refunds` and the calls to Stripe raise.
    """

    async def once(tx: Connection, seen: Mapping[UUID, AtStripe]) -> PreviewOut:
        return await refunds_actions.preview_refunds(tx, caller, request, stripe.livemode, seen)

    return await _with_looks(transaction, stripe, caller, request, once)


async def _with_looks(
    transaction: Transaction,
    stripe: StripeApi,
    caller: Caller,
    request: RefundRequest | PaymentRefundRequest,
    work: Callable[[Connection, Mapping[UUID, AtStripe]], Awaitable[T]],
) -> T:
    """Do the work in a transaction of its own, once the charges that it needs were read at Stripe."""
    seen: dict[UUID, AtStripe] = {}
    while True:  # ends: each round asks for payments that no round before asked for
        try:
            async with transaction() as tx:
                return await work(tx, seen)
        except NotLookedUp as missing:
            unseen = missing.payment_ids
        async with transaction() as tx:
            found = [await reads.get_payment(tx, request.client_id, payment_id) for payment_id in unseen]
            disputed = await disputes.list_statuses(tx, caller.clinic, unseen)
        for payment in found:
            assert payment is not None, "it is planned to be refunded"
            seen[payment.id] = await _look_up(stripe, payment, disputed.get(payment.id))


async def _look_up(
    stripe: StripeApi, payment: Payment, disputed: Collection[DisputeStatus] | None
) -> AtStripe:
    """`disputed`: the statuses of the disputes of it that are known here, if any. A won one stays marked at Stripe."""
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
    refuses = charge.get("disputed") is True
    if disputed:
        refuses = any(status in UNREFUNDABLE_DISPUTES for status in disputed)
    has_fee = charge.get("application_fee") is not None
    return AtStripe(_at_least(refunded, payment.currency), refuses, has_fee)


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


def sending(db: Database, stripe: StripeApi) -> BetweenTransactions:
    """The handler of the task that sends a refund which was held."""
    return BetweenTransactions(SEND, partial(_send_held, db, stripe))


async def _send_held(db: Database, stripe: StripeApi, task: Task) -> Outcome:
    """Stripe's webhooks and the sweep tell how it goes on. A try that failed is repeated by the sweep, too."""
    async with db.worker_tx() as tx:
        [refund] = await refunds.get_refunds(tx, task.clinic_id, [task.key])
        if refund.status == "created" and refund.signature is None and stripe.signer is not None:
            refund = seal_refund(refund, stripe.signer)
            await refunds.seal_refunds(tx, [refund])
    if refund.status == "created":
        await ensure(db.worker_tx, stripe, refund)
    return Done()


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
