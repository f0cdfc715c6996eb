"""The verbs of the payment service. Each takes the transaction first, and commits nothing."""

from uuid import UUID

from contracts.vocabulary import STARTABLE_PAYMENTS
from services.chassis import clock
from services.chassis.db.database import Connection
from services.chassis.ids import new_id
from services.chassis.telemetry.traces import current_traceparent
from services.payment.accounts import domain as accounts
from services.payment.accounts import store
from services.payment.accounts.domain import ClinicAccount
from services.payment.methods import store as methods
from services.payment.methods.domain import MethodNotFound, SavedMethod
from services.payment.payments import reads as lookups
from services.payment.payments import starting
from services.payment.payments import store as payments
from services.payment.payments.domain import KeyReused, Payment
from services.payment.payments.starting import Started, Wish
from services.payment.payments.stripe_params import seal_payment
from services.payment.receivables import store as payables
from services.payment.stripe.seal import Seal


async def start_payment(
    tx: Connection, clinic_id: UUID, wish: Wish, livemode: bool, signer: Seal | None = None
) -> Started:
    """Reserve the payables for the client's live attempt or for a new one; its Stripe key
    and seal are committed with it.

    Raises what `starting` refuses, `KeyReused`, `MethodNotFound`, `NoStripeAccount`.
    """
    now = clock.now()
    starting.check_wish(wish)
    locked = await payables.lock_payables(tx, {(clinic_id, payable_id) for payable_id in wish.shares})
    chosen = await store.get_account(tx, clinic_id)
    live = await _earlier_request(tx, wish)
    if live is None:
        starting.check_clinic(await payables.get_clinic(tx, clinic_id), wish)
        starting.check_payables(wish, {payable.id: payable for payable in locked.values()}, now)
        holders = await payments.lock_live_payments(tx, locked)
        live = starting.live_answer(wish, holders)
        if holders and (live is None or not _is_at(live, chosen, livemode)):
            return Started(None, stale=tuple(holders))
    elif live.status in STARTABLE_PAYMENTS and not _is_at(live, chosen, livemode):
        return Started(None, stale=(live,))
    account = live.account if live else accounts.account_to_charge(chosen, livemode)
    saved = await _saved_method(tx, wish, account)
    if live is None:
        starting.check_largest(wish, saved.brand if saved else None)
    payment = live or starting.begin(
        wish,
        clinic_id,
        new_id(),
        account=account,
        livemode=livemode,
        method=saved.shown if saved else None,
        traceparent=current_traceparent(),
        now=now,
    )
    if live is None:
        payment = seal_payment(payment, signer) if signer else payment
        await payments.add_payment(tx, payment)
    return Started(payment, saved_method=saved.stripe_id if saved else None, is_new=live is None)


def _is_at(payment: Payment, chosen: ClinicAccount, livemode: bool) -> bool:
    """Whether it is paid where the clinic is charged now: the page has its form from there."""
    return (payment.account, payment.livemode) == (chosen.own or accounts.PLATFORM, livemode)


async def check_declines(tx: Connection, client_id: UUID, most: int) -> None:
    """Keep a burst of declines from going on with another payment. Raises `TooManyDeclines`."""
    declines = await lookups.count_declines(tx, client_id, starting.DECLINE_WINDOW)
    starting.check_declines(declines, most)


async def _earlier_request(tx: Connection, wish: Wish) -> Payment | None:
    if wish.request_key is None:
        return None
    earlier = await lookups.get_request(tx, wish.client_id, wish.request_key)
    if earlier is not None and not wish.same_as(earlier):
        raise KeyReused("This Idempotency-Key was used for another payment.")
    return earlier


async def _saved_method(tx: Connection, wish: Wish, account: str) -> SavedMethod | None:
    if wish.saved_method_id is None:
        return None
    method = await methods.get_method(tx, wish.client_id, wish.saved_method_id)
    if method is None or method.account != account:
        raise MethodNotFound("There is no such saved payment method.")
    return method
