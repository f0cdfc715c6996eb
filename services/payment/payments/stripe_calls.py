"""Verbs that call Stripe: transactions before and after a call, and no connection held during it.

`transaction` opens one: of a clinic for requests, of the worker for jobs.
"""

import asyncio
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from services.chassis import clock
from services.chassis.db.database import Transaction
from services.chassis.telemetry import attributes
from services.payment.accounts import store
from services.payment.accounts import stripe_calls as accounts
from services.payment.accounts.domain import AccountCannotCharge
from services.payment.ledger.domain import CreditOverdrawn
from services.payment.methods import stripe_calls as customers
from services.payment.methods.domain import MethodNotFound
from services.payment.payments import actions, changes, lines, reads
from services.payment.payments import store as payments
from services.payment.payments.domain import Payment
from services.payment.payments.starting import PaymentRequest
from services.payment.payments.stripe_params import new_intent
from services.payment.stripe import fields, observations
from services.payment.stripe.answers import (
    ENDS_UNMADE,
    AccountRefused,
    KeyRefused,
    KeySpent,
    StripeBusy,
    StripeFailed,
    StripeGone,
    StripeMoved,
    StripeRefused,
)
from services.payment.stripe.api import Intent, StripeApi, is_as_wanted, key_is_fresh

log = structlog.get_logger()

MOST_STARTS = 3
"""How often a start is tried, if it must cancel other attempts or finds its own canceled."""
BUSY_PAUSES = (0.1, 0.3, 0.9)
"""Seconds between tries while another request is making the intent."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A payment that a page can confirm; without an intent, credit has paid all of it."""

    payment: Payment
    intent: Intent | None
    saved_method: str | None
    is_new: bool


async def start(
    transaction: Transaction, stripe: StripeApi, clinic_id: UUID, request: PaymentRequest
) -> Ready:
    """The client's payment for a request, with its PaymentIntent. Other live attempts are canceled first.

    The client's last press wins: an older one that finds a newer choice cancels and starts nothing more.

    Raises what `actions.start_payment` and the calls to Stripe raise. After an unknown outcome, ask again.
    An account that cannot charge is asked about first: it may be able again.
    """
    try:
        return await _start(transaction, stripe, clinic_id, request)
    except AccountCannotCharge:
        await accounts.check_again(transaction, stripe, clinic_id)
        return await _start(transaction, stripe, clinic_id, request)
    except StripeRefused as refused:
        if type(refused) is StripeRefused:
            # Stripe names no code when an account may not charge.
            await accounts.check_again(transaction, stripe, clinic_id)
        raise


async def _start(
    transaction: Transaction, stripe: StripeApi, clinic_id: UUID, request: PaymentRequest
) -> Ready:
    for tried in range(MOST_STARTS):
        async with transaction() as tx:
            started = await actions.start_payment(
                tx, clinic_id, request, stripe.livemode, stripe.signer, newest=tried == 0
            )
        if started.payment is not None and started.is_new:
            lines.tell(started.payment)
        for stale in started.stale:
            async with transaction() as tx:
                await actions.check_choice(tx, clinic_id, request)
            await _leave(transaction, stripe, request, stale)
        if started.payment is not None and started.payment.kind == "credit":
            return Ready(started.payment, None, None, started.is_new)
        if started.payment is not None:
            intent = await _ensure_reachable(transaction, stripe, started.payment)
            if intent is not None and intent.status != "canceled":
                return Ready(started.payment, intent, started.saved_method, started.is_new)
            await observe(transaction, started.payment, intent)
    raise StripeBusy(StripeBusy.message, retry_after=StripeBusy.again)


async def _leave(
    transaction: Transaction, stripe: StripeApi, request: PaymentRequest, stale: Payment
) -> None:
    """Cancel another attempt of the client's. Raises `StripeMoved` when it is too late.

    One that only holds the client's credit is of other invoices: when it is too late, `CreditOverdrawn`.
    """
    try:
        await cancel(transaction, stripe, stale)
    except StripeMoved:
        if request.is_of(stale):
            raise
        raise CreditOverdrawn("Another payment of yours is using that credit.") from None


async def _ensure_reachable(transaction: Transaction, stripe: StripeApi, payment: Payment) -> Intent | None:
    try:
        return await ensure_intent(transaction, stripe, payment)
    except AccountRefused:
        await accounts.note_refusal(transaction, payment.account)
        raise


async def ensure_intent(
    transaction: Transaction, stripe: StripeApi, payment: Payment, *, look_up: bool = False
) -> Intent | None:
    """The payment's intent as it is now: retrieved, or made with the key that was committed with the payment.

    With `look_up`, or a key too old, none is made. None: the payment was canceled, and reserves nothing.
    """
    for pause in BUSY_PAUSES:
        try:
            return await _ensure_intent(transaction, stripe, payment, look_up)
        except StripeBusy:
            await asyncio.sleep(pause)
            async with transaction() as tx:
                payment = await reads.get_payment(tx, payment.client_id, payment.id) or payment
    return await _ensure_intent(transaction, stripe, payment, look_up)


async def _ensure_intent(
    transaction: Transaction, stripe: StripeApi, payment: Payment, look_up: bool
) -> Intent | None:
    if payment.livemode != stripe.livemode:
        await _end_other_mode(transaction, payment)
        return None
    if payment.intent_id is not None:
        return await _retrieve_intent(transaction, stripe, payment)
    try:
        if look_up or not key_is_fresh(new_intent(payment), clock.now()):
            return await _find_intent(transaction, stripe, payment, "never_reached_stripe")
        return await _make_intent(transaction, stripe, payment)
    except ENDS_UNMADE as refused:
        await _end(transaction, payment, refused.fields.get("stripe_code") or refused.code)
        raise


async def _end_other_mode(transaction: Transaction, payment: Payment) -> None:
    """End an attempt of the other mode, unless it may take real money: then raise `KeyRefused`."""
    if payment.livemode and payment.intent_id is not None:
        raise KeyRefused(KeyRefused.message, retry_after=KeyRefused.again)
    await _end(transaction, payment, "other_mode", on_its_way=True)


async def _end(transaction: Transaction, payment: Payment, reason: str, *, on_its_way: bool = False) -> None:
    async with transaction() as tx:
        await changes.give_up_payment(
            tx, payment.key, reason, intent_id=payment.intent_id, on_its_way=on_its_way
        )


async def _retrieve_intent(transaction: Transaction, stripe: StripeApi, payment: Payment) -> Intent | None:
    """The intent as it is now. One that the account no longer has can take no money: its attempt is ended."""
    assert payment.intent_id is not None
    try:
        return await stripe.retrieve_intent(payment.account, payment.intent_id)
    except StripeGone as gone:
        if payment.status == "processing":
            raise  # Money is on its way: only Stripe's final state of it ends the attempt.
        log.warning("intent_gone", payment_id=str(payment.id), stripe_code=gone.fields["stripe_code"])
        await _end(transaction, payment, "intent_gone")
        return None


async def _make_intent(transaction: Transaction, stripe: StripeApi, payment: Payment) -> Intent | None:
    customer = await _customer_of(transaction, stripe, payment)
    try:
        intent = await stripe.create_intent(new_intent(payment), customer)
    except StripeGone as gone:
        if customer is None or gone.fields["param"] != "customer":
            raise
        await customers.renew(transaction, payment.clinic_id, payment.client_id, payment.account, customer)
        await _end(transaction, payment, "customer_gone")
        return None
    except StripeFailed as failed:
        # With the same key Stripe repeats this error, although the intent may exist.
        found = await _find_intent(transaction, stripe, payment, failed.code)
        if found is None and not isinstance(failed, KeySpent):
            raise
        return found
    return await _keep_intent(transaction, payment, intent, customer, made=True)


async def _find_intent(
    transaction: Transaction, stripe: StripeApi, payment: Payment, reason: str
) -> Intent | None:
    """Adopt the intent of an earlier call whose answer was lost. Without one the attempt is ended.

    If one exists that Stripe does not list yet, nobody has its secret, so nobody can pay with it.
    """
    wanted = new_intent(payment)
    intent = await stripe.find_intent(wanted)
    if intent is None or not is_as_wanted(intent, wanted):
        await _end(transaction, payment, reason)
        return None
    customer = fields.text_of(intent.body.get("customer"))
    return await _keep_intent(transaction, payment, intent, customer, made=False)


async def _keep_intent(
    transaction: Transaction, payment: Payment, intent: Intent, customer: str | None, *, made: bool
) -> Intent | None:
    """Commit the intent's id, before its secret is handed out."""
    attributes.note(payment_intent=intent.id)
    async with transaction() as tx:
        status = await payments.keep_intent(tx, payment, intent.id, customer, made=made)
    # Canceled meanwhile, it reserves nothing: its secret must not be handed out.
    return None if status == "canceled" else intent


async def _customer_of(transaction: Transaction, stripe: StripeApi, payment: Payment) -> str | None:
    """The customer to charge, if the payment needs one. Raises `MethodNotFound` for a saved method that is gone."""
    if not payment.save and payment.kind != "saved":
        return None
    who = (payment.clinic_id, payment.client_id, payment.account)
    if payment.saved_method_id is not None:
        try:
            await customers.check_method(transaction, stripe, payment.client_id, payment.saved_method_id)
        except MethodNotFound as gone:
            await _end(transaction, payment, gone.code)
            raise
    return await customers.ensure(transaction, stripe, *who)


async def cancel(
    transaction: Transaction, stripe: StripeApi, payment: Payment, *, abandoned: bool = False
) -> None:
    """End an attempt for good: once Stripe has confirmed it, its reservations are released.

    Raises `StripeMoved` when its money is on the way or has come. An `abandoned` one is ended even while we have no
    access to its account: none of our pages can pay with it.
    """
    if payment.intent_id is None:
        try:
            made = await ensure_intent(transaction, stripe, payment)
        except (*ENDS_UNMADE, MethodNotFound):
            return  # It is ended: Stripe made none.
        if made is not None:
            await cancel(transaction, stripe, replace(payment, intent_id=made.id))
    elif payment.livemode != stripe.livemode:
        await _end_other_mode(transaction, payment)
    else:
        await _cancel_made(transaction, stripe, payment, abandoned)


async def _cancel_made(
    transaction: Transaction, stripe: StripeApi, payment: Payment, abandoned: bool
) -> None:
    try:
        intent = await _cancel_intent(stripe, payment)
    except StripeGone:
        if payment.status == "processing":
            raise
        await _end(transaction, payment, "intent_gone")
    except AccountRefused:
        if not abandoned and not await _has_left_account(transaction, payment):
            raise
        await _end(transaction, payment, "account_out_of_reach")
    else:
        await observe(transaction, payment, intent)


async def _cancel_intent(stripe: StripeApi, payment: Payment) -> Intent:
    """The intent, canceled now or before. Raises `StripeMoved`."""
    assert payment.intent_id is not None
    try:
        return await stripe.cancel_intent(payment.account, payment.intent_id)
    except StripeMoved:
        intent = await stripe.retrieve_intent(payment.account, payment.intent_id)
        if intent.status != "canceled":
            raise
        return intent


async def _has_left_account(transaction: Transaction, payment: Payment) -> bool:
    """Whether the clinic is charged on another account by now than the payment's."""
    async with transaction() as tx:
        chosen = await store.get_account(tx, payment.clinic_id)
    return chosen.account != payment.account


async def observe(
    transaction: Transaction, payment: Payment, intent: Intent | None, traceparent: str | None = None
) -> None:
    """Apply the state of a payment's intent at Stripe, like a webhook's.

    The effects go on from `traceparent`; without one, from what the intent's metadata names.
    """
    seen = observations.looked_up(intent.body, payment.account, clock.now()) if intent else None
    if seen is not None:
        if traceparent is not None:
            seen = seen.model_copy(update={"traceparent": traceparent})
        async with transaction() as tx:
            await changes.apply_observations(tx, [seen])
