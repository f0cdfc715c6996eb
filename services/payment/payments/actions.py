"""The verbs of the payment service. Each takes the transaction first, and commits nothing."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from contracts.vocabulary import STARTABLE_PAYMENTS
from services.chassis import clock
from services.chassis.db.database import Connection
from services.chassis.ids import Key, new_id
from services.chassis.telemetry import attributes
from services.chassis.telemetry.traces import current_traceparent
from services.payment.accounts import domain as accounts
from services.payment.accounts import store
from services.payment.accounts.domain import ClinicAccount
from services.payment.consents import store as consents
from services.payment.credit import store as credit
from services.payment.ledger import actions as ledger
from services.payment.ledger.domain import Booking
from services.payment.methods import store as methods
from services.payment.methods.domain import MethodNotFound, SavedMethod
from services.payment.payments import credit_uses, reads, starting
from services.payment.payments import store as payments
from services.payment.payments.credit_uses import Used
from services.payment.payments.domain import Allocation, KeyReused, Payment
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
    `AccountCannotCharge`. Credit that another attempt of the client's reserves is taken from that one, which is stale.
    """
    now = clock.now()
    starting.check_request(request)
    kept_choice = (
        await payments.lock_deposits(tx, clinic_id, request.client_id)
        if request.deposit is not None
        else None
    )
    locked = await receivables.lock_receivables(
        tx, {(clinic_id, receivable_id) for receivable_id in request.shares}
    )
    chosen, state = await store.get_account_and_state(tx, clinic_id)
    live = await _earlier_request(tx, request)
    if live is None and request.deposit is not None:
        starting.check_deposit(
            starting.check_clinic(await receivables.get_clinic(tx, clinic_id), request), request
        )
        holders = await payments.lock_live_deposits(tx, request.client_id)
        live = starting.live_answer(request, holders)
        await _choose_deposit(tx, clinic_id, request, kept_choice, newest)
        if holders and (live is None or not _is_at(live, chosen, livemode)):
            return Started(None, stale=tuple(holders))
    elif live is None:
        clinic = starting.check_clinic(await receivables.get_clinic(tx, clinic_id), request)
        owed = {receivable.id: receivable for receivable in locked.values()}
        starting.check_receivables(request, owed, now)
        starting.check_parts(clinic, request, owed)
        holders = await payments.lock_live_payments(tx, locked)
        live = starting.live_answer(request, holders)
        await _choose(tx, request, locked, newest)
        if holders and (live is None or not _is_at(live, chosen, livemode)):
            return Started(None, stale=tuple(holders))
    elif live.status in STARTABLE_PAYMENTS and not _is_at(live, chosen, livemode):
        return Started(None, stale=(live,))
    if request.kind == "credit":
        return await _pay_with_credit(tx, clinic_id, request, livemode, locked, live, newest)
    if live is None or live.status in STARTABLE_PAYMENTS:
        accounts.account_to_charge(chosen, livemode, state)
        starting.check_way(state, request)
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
        method=saved.shown if saved else starting.debited(request),
        traceparent=current_traceparent(),
        now=now,
    )
    if live is None:
        stale = await _lock_free_credit(tx, clinic_id, request, newest)
        if stale:
            return Started(None, stale=stale)
        payment = seal_payment(payment, signer) if signer else payment
        await payments.add_payment(tx, payment)
        attributes.note(payment_step=attributes.BEGUN, invoice_id=_only(payment.allocations))
        if request.credit is not None:
            await ledger.book(tx, Booking([credit_uses.reserve(payment, now)]))
        if request.consent is not None:
            who = (clinic_id, request.client_id, account)
            await consents.add_consent(tx, *who, request.consent, payment.id)
    attributes.note(payment_id=payment.id, payment_intent=payment.intent_id)
    return Started(payment, saved_method=saved.stripe_id if saved else None, is_new=live is None)


def _only(shares: Sequence[Allocation]) -> UUID | None:
    """The invoice of a payment of one; the events of a payment of several name each."""
    return shares[0].receivable_id if len(shares) == 1 else None


async def _lock_free_credit(
    tx: Connection, clinic_id: UUID, request: PaymentRequest, newest: bool
) -> tuple[Payment, ...]:
    """Lock the client's credit, of which there is enough. Else return the payments to cancel, which reserve it.

    Raises `CreditOverdrawn` where none can be canceled, or the client has pressed since.
    """
    if request.credit is None:
        return ()
    key = (clinic_id, request.client_id, request.currency)
    free = (await credit.lock_credit(tx, {key}))[key]
    if newest and free < request.credit.minor:
        holders = await reads.list_leavable_holders(tx, request.client_id, request.currency)
        if free + sum(payment.reserved_credit for payment in holders) >= request.credit.minor:
            return tuple(holders)
    starting.check_free_credit(request, free)
    return ()


async def _pay_with_credit(
    tx: Connection,
    clinic_id: UUID,
    request: PaymentRequest,
    livemode: bool,
    locked: Mapping[Key, Receivable],
    earlier: Payment | None,
    newest: bool,
) -> Started:
    """Credit pays all of it: booked at once, and Stripe is not asked. Raises `CreditOverdrawn`."""
    if earlier is not None:
        return Started(earlier)
    stale = await _lock_free_credit(tx, clinic_id, request, newest)
    if stale:
        return Started(None, stale=stale)
    parts = {receivable_id: share.minor for receivable_id, share in sorted(request.shares.items())}
    used = credit_uses.use(
        clinic_id=clinic_id,
        payment_id=new_id(),
        client_id=request.client_id,
        livemode=livemode,
        currency=request.currency,
        parts=parts,
        now=clock.now(),
        request_key=request.request_key,
    )
    await book_used_credit(tx, used, credit_uses.settle(locked.values(), parts))
    return Started(used.payment, is_new=True)


async def book_used_credit(tx: Connection, used: Used, settled: Sequence[Receivable]) -> None:
    """Book credit that pays receivables. These are locked, and so is the credit. Raises `CreditOverdrawn`."""
    await payments.add_used_credit(tx, [used.payment])
    await receivables.save_receivables(tx, settled)
    await ledger.book(tx, used.booking)


async def _choose(
    tx: Connection, request: PaymentRequest, locked: Mapping[Key, Receivable], newest: bool
) -> None:
    if not newest:
        starting.check_choice(request, locked.values())
    elif any(receivable.choice != request.choice for receivable in locked.values()):
        await receivables.keep_choice(tx, locked, request.choice)


async def _choose_deposit(
    tx: Connection, clinic_id: UUID, request: PaymentRequest, kept: bytes | None, newest: bool
) -> None:
    if not newest:
        starting.check_newest(request, kept)
    elif kept != request.choice:
        await payments.keep_deposit_choice(tx, clinic_id, request.client_id, request.choice)


async def check_choice(tx: Connection, clinic_id: UUID, request: PaymentRequest) -> None:
    """Raises `ChosenElsewhere` when the client has made another choice since this press."""
    if request.deposit is not None:
        starting.check_newest(request, await payments.lock_deposits(tx, clinic_id, request.client_id))
        return
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
