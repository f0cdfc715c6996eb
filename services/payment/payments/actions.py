"""The verbs of the payment service. Each takes the transaction first, and commits nothing."""

from collections.abc import Mapping
from uuid import UUID

from contracts.vocabulary import STARTABLE_PAYMENTS
from services.chassis import clock
from services.chassis.db.database import Connection
from services.chassis.ids import Key, new_id
from services.chassis.telemetry.traces import current_traceparent
from services.payment.accounts import domain as accounts
from services.payment.accounts import store
from services.payment.accounts.domain import ClinicAccount
from services.payment.methods import store as methods
from services.payment.methods.domain import MethodNotFound, SavedMethod
from services.payment.payments import reads, starting
from services.payment.payments import store as payments
from services.payment.payments.domain import KeyReused, Payment
from services.payment.payments.starting import ClientLimits, PaymentRequest, Started
from services.payment.payments.stripe_params import seal_payment
from services.payment.receivables import store as receivables
from services.payment.receivables.domain import Receivable
from services.payment.stripe.seal import Seal


async def start_payment(
    tx: Connection,
    clinic_id: UUID,
    request: PaymentRequest,
    livemode: bool,
    signer: Seal | None = None,
    *,
    newest: bool = True,
) -> Started:
    """Reserve the payables for the client's live attempt or for a new one; its Stripe key
    and seal are committed with it.

    `newest`: the client has just pressed. Otherwise it goes on with a press, and yields to a newer one.

    Raises what `starting` refuses, `ChosenElsewhere`, `KeyReused`, `MethodNotFound`, `NoStripeAccount`,
    `AccountCannotCharge`.
    """
    now = clock.now()
    starting.check_request(request)
    locked = await receivables.lock_receivables(
        tx, {(clinic_id, receivable_id) for receivable_id in request.shares}
    )
    chosen, state = await store.get_account_and_state(tx, clinic_id)
    live = await _earlier_request(tx, request)
    if live is None:
        starting.check_clinic(await receivables.get_clinic(tx, clinic_id), request)
        starting.check_receivables(
            request, {receivable.id: receivable for receivable in locked.values()}, now
        )
        holders = await payments.lock_live_payments(tx, locked)
        live = starting.live_answer(request, holders)
        await _choose(tx, request, locked, newest)
        if holders and (live is None or not _is_at(live, chosen, livemode)):
            return Started(None, stale=tuple(holders))
    elif live.status in STARTABLE_PAYMENTS and not _is_at(live, chosen, livemode):
        return Started(None, stale=(live,))
    if live is None or live.status in STARTABLE_PAYMENTS:
        accounts.account_to_charge(chosen, livemode, state)
        starting.check_way(state.ways, request)
    account = live.account if live else chosen.account
    saved = await _saved_method(tx, request, account)
    if live is None:
        starting.check_largest(request, saved.brand if saved else None)
    payment = live or starting.begin(
        request,
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


async def _choose(
    tx: Connection, request: PaymentRequest, locked: Mapping[Key, Receivable], newest: bool
) -> None:
    if not newest:
        starting.check_choice(request, locked.values())
    elif any(receivable.choice != request.choice for receivable in locked.values()):
        await receivables.keep_choice(tx, locked, request.choice)


async def check_choice(tx: Connection, clinic_id: UUID, request: PaymentRequest) -> None:
    """Raises `ChosenElsewhere` when the client has made another choice since this press."""
    locked = await receivables.lock_receivables(tx, {(clinic_id, each) for each in request.shares})
    starting.check_choice(request, locked.values())


def _is_at(payment: Payment, chosen: ClinicAccount, livemode: bool) -> bool:
    """Whether it is paid where the clinic is charged now: the page has its form from there."""
    return (payment.account, payment.livemode) == (chosen.account, livemode)


async def check_limits(tx: Connection, clinic_id: UUID, client_id: UUID, limits: ClientLimits) -> None:
    """Keep a burst of presses, or of declines, from going on. Raises `TooManyStarts`, `TooManyDeclines`.

    The press is counted before it does anything, so that many at once are counted too.
    """
    starting.check_starts(
        *await payments.count_start(tx, clinic_id, client_id, starting.WINDOW), limits.starts
    )
    declines = await reads.count_declines(tx, client_id, starting.WINDOW)
    starting.check_declines(declines, limits.declines)


async def _earlier_request(tx: Connection, request: PaymentRequest) -> Payment | None:
    if request.request_key is None:
        return None
    earlier = await reads.get_request(tx, request.client_id, request.request_key)
    if earlier is not None and not request.same_as(earlier):
        raise KeyReused("This Idempotency-Key was used for another payment.")
    return earlier


async def _saved_method(tx: Connection, request: PaymentRequest, account: str) -> SavedMethod | None:
    if request.saved_method_id is None:
        return None
    method = await methods.get_method(tx, request.client_id, request.saved_method_id)
    if method is None or method.account != account:
        raise MethodNotFound("There is no such saved payment method.")
    return method
