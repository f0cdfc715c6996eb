"""The verbs of refunds. Each takes the transaction first, and commits nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import msgspec

from contracts.http.held import PreviewOut
from contracts.money import Money
from contracts.vocabulary import RefundStatus
from services.chassis import audit, clock, idempotency
from services.chassis.db.database import Connection
from services.chassis.held import store as held_acts
from services.chassis.held.domain import HeldAct
from services.chassis.http.auth import Caller
from services.chassis.ids import Key, new_id
from services.chassis.telemetry.traces import current_traceparent
from services.payment.credit import store
from services.payment.ledger import actions as ledger
from services.payment.ledger.domain import Booking
from services.payment.payments import reads
from services.payment.payments.domain import Payment, PaymentNotFound
from services.payment.receivables import store as receivables
from services.payment.receivables.domain import Receivable
from services.payment.refunds import domain as decide
from services.payment.refunds import held
from services.payment.refunds import reads as left
from services.payment.refunds import store as refunds
from services.payment.refunds.domain import ClientNotFound, Refund, RefundRequest, Surplus, nothing_to_refund
from services.payment.refunds.elsewhere import AtStripe, check_at_stripe
from services.payment.refunds.planning import PaymentRefundRequest, Plan, plan_payment
from services.payment.refunds.rules import (
    RefundRules,
    status_of,
)
from services.payment.refunds.store import Asked
from services.payment.refunds.stripe_params import seal_refund
from services.payment.stripe.seal import Seal

Rules = RefundRules | None

MOST_SHOWN = 50
_NO_CLIENT = "No client of this clinic with this id has paid online."


@dataclass(frozen=True, slots=True)
class Credit:
    """A client's credit as staff see it. `refundable` may be less: a payment of the other mode cannot be refunded.

    `reserved` is for payments on their way, and no longer in `balances`.
    """

    balances: list[Money]
    reserved: list[Money]
    refundable: list[Money]
    surpluses: list[Surplus]
    refunds: list[Refund]


async def read_credit(tx: Connection, caller: Caller, client_id: UUID, livemode: bool) -> Credit:
    """A client's credit. Raises `ClientNotFound` for one who never paid here, unless clients ask for their own."""
    clinic_id = caller.clinic
    if caller.role == "client" and caller.subject != client_id:
        raise ClientNotFound(_NO_CLIENT)
    if caller.role != "client":
        await _check_client(tx, clinic_id, client_id)
    surpluses = await left.list_surpluses(tx, clinic_id, client_id, livemode)
    balances = await store.get_credit(tx, client_id)
    most = decide.refundable(surpluses, balances)
    return Credit(
        balances=balances,
        reserved=await store.get_reserved(tx, client_id),
        refundable=[Money(minor=most[currency], currency=currency) for currency in sorted(most)],
        surpluses=surpluses,
        refunds=await refunds.list_refunds(
            tx, clinic_id, client_id, MOST_SHOWN, begun=caller.role == "client"
        ),
    )


async def start_refunds_once(
    tx: Connection,
    caller: Caller,
    request: RefundRequest | PaymentRefundRequest,
    livemode: bool,
    seen: Mapping[UUID, AtStripe],
    signer: Seal | None,
    *,
    key: str | None,
    body: bytes,
) -> list[Refund]:
    """Make the refunds under an idempotency key: the same request again returns the refunds of the first one.

    Raises what `idempotency.claim`, `start_refunds` and `start_payment_refund` raise.
    """
    earlier = await idempotency.claim(tx, caller.clinic, key, body)
    if earlier is not None:
        return await refunds.get_refunds(tx, caller.clinic, msgspec.json.decode(earlier, type=list[UUID]))
    if isinstance(request, PaymentRefundRequest):
        made = [await start_payment_refund(tx, caller, request, livemode, seen, signer)]
    else:
        made = await start_refunds(tx, caller, request, livemode, seen, signer)
    assert key is not None, "claimed"
    await idempotency.keep(tx, caller.clinic, key, msgspec.json.encode([refund.id for refund in made]))
    return made


async def start_refunds(
    tx: Connection,
    caller: Caller,
    request: RefundRequest,
    livemode: bool,
    seen: Mapping[UUID, AtStripe],
    signer: Seal | None = None,
) -> list[Refund]:
    """Set credit aside for a refund of each payment that the request covers. Stripe's idempotency keys are committed
    with it.

    `seen` is the state of payments just read at Stripe. Raises `ClientNotFound`, `PaymentNotFound`, `NothingToRefund`,
    `RefundTooLarge`, `CreditOverdrawn`, and what `check_at_stripe` raises.
    """
    parts, rules = await _plan_credit(tx, caller, request, livemode, seen)
    rows = [(new_id(), payment_id, amount) for payment_id, amount in parts]
    amounts = [amount for _, amount in parts]
    asked, hours = await _asked(tx, caller, request.on_behalf_of, rules, sum(amounts), request.currency)
    made = await refunds.add_refunds(tx, rows, caller.clinic, current_traceparent(), asked=asked)
    made = await _with_fees(tx, made, rules, seen)
    made = await _sealed(tx, made, signer)
    now = clock.now()
    await ledger.book(tx, Booking([decide.set_aside(refund, now) for refund in made]))
    if asked.status == "held":
        for refund in made:
            await held.hold_refund(tx, caller, refund, None, hours)
    after = [[str(refund.id), refund.amount, refund.currency, request.on_behalf_of] for refund in made]
    await audit.record(tx, caller, "refund_credit", request.client_id, None, after)
    return made


async def start_payment_refund(
    tx: Connection,
    caller: Caller,
    request: PaymentRefundRequest,
    livemode: bool,
    seen: Mapping[UUID, AtStripe],
    signer: Seal | None = None,
) -> Refund:
    """Set aside what goes back of one payment, of its surplus and of what it settled.

    A refund to the client's credit is done with that; another one goes on at Stripe. Both are held in a clinic with
    `undo_hours`. Raises `PaymentNotFound`, `NothingToRefund`, `RefundTooLarge`, `UnclearRefund`, and what
    `check_at_stripe` raises.
    """
    planned = await _plan_payment(tx, caller, request, livemode, seen)
    payment, plan, owed, rules = planned
    asked, hours = await _asked(tx, caller, request.on_behalf_of, rules, plan.amount, payment.currency)
    refund = await held.add_refund(tx, payment, plan, asked, request.destination, owed)
    [refund] = await _with_fees(tx, [refund], rules, seen)
    if request.destination == "method":
        [refund] = await _sealed(tx, [refund], signer)
    if asked.status == "held":
        await held.hold_refund(tx, caller, refund, request.split, hours)
    elif request.destination == "credit" and refund.status == "created":
        refund = await held.become_credit(tx, refund)
    after = [str(refund.id), refund.amount, refund.currency, refund.destination, request.on_behalf_of]
    await audit.record(tx, caller, "refund_payment", payment.id, None, after)
    return refund


async def preview_refunds(
    tx: Connection,
    caller: Caller,
    request: RefundRequest | PaymentRefundRequest,
    livemode: bool,
    seen: Mapping[UUID, AtStripe],
) -> PreviewOut:
    """The effect that the refunds would have now. Raises what `start_refunds` and `start_payment_refund` raise."""
    if isinstance(request, PaymentRefundRequest):
        payment, plan, owed, rules = await _plan_payment(tx, caller, request, livemode, seen)
        asked, _ = await _asked(tx, caller, None, rules, plan.amount, payment.currency)
        waits = asked.status == "awaiting_approval"
        return await held.shown(tx, [(payment, plan)], request.destination, owed, awaits_approval=waits)
    parts, rules = await _plan_credit(tx, caller, request, livemode, seen)
    amount = sum(part for _, part in parts)
    asked, _ = await _asked(tx, caller, None, rules, amount, request.currency)
    planned = [(await _payment(tx, each), Plan(part, ())) for each, part in parts]
    return await held.shown(tx, planned, "method", {}, awaits_approval=asked.status == "awaiting_approval")


async def _plan_credit(
    tx: Connection, caller: Caller, request: RefundRequest, livemode: bool, seen: Mapping[UUID, AtStripe]
) -> tuple[list[tuple[UUID, int]], Rules]:
    """(payment, amount) of each refund, and the clinic's rules. They are locked, as is the credit."""
    await _check_client(tx, caller.clinic, request.client_id)
    await _check_payment(tx, request)
    rules = await refunds.lock_rules(tx, caller.clinic)
    # Before the client's first surplus there is no surplus to lock, but always a balance.
    await store.lock_credit(tx, {(caller.clinic, request.client_id, request.currency)})
    surpluses = await left.list_surpluses(tx, caller.clinic, request.client_id, livemode)
    parts = decide.plan(request, surpluses, await store.get_credit(tx, request.client_id))
    check_at_stripe(parts, surpluses, seen)
    return parts, rules


async def _plan_payment(
    tx: Connection,
    caller: Caller,
    request: PaymentRefundRequest,
    livemode: bool,
    seen: Mapping[UUID, AtStripe],
) -> tuple[Payment, Plan, Mapping[Key, Receivable], Rules]:
    """The payment, what goes back of it, its receivables and the clinic's rules. They are locked, as is the credit."""
    payment = await _payment(tx, request.payment_id)
    rules = await refunds.lock_rules(tx, caller.clinic)
    owed = await receivables.lock_receivables(tx, held.keys_of(payment))
    await store.lock_credit(tx, {(payment.clinic_id, payment.client_id, payment.currency)})
    refundable = await left.get_refundable(tx, payment.clinic_id, payment.id, livemode)
    if refundable is None:
        raise nothing_to_refund(payment)
    if request.destination == "credit":
        await held.check_undisputed(tx, payment.clinic_id, payment.id)
    plan = plan_payment(request, refundable)
    if request.destination == "credit":
        await held.check_unbooked(tx, payment, refundable, plan.amount)
    else:
        check_at_stripe([(payment.id, plan.amount)], [refundable.at_stripe], seen)
    return payment, plan, owed, rules


async def _payment(tx: Connection, payment_id: UUID) -> Payment:
    payment = await reads.get_payment(tx, None, payment_id)
    if payment is None:
        raise PaymentNotFound("The clinic has no such payment.")
    return payment


async def _asked(
    tx: Connection,
    caller: Caller,
    on_behalf_of: str | None,
    rules: Rules,
    amount: int,
    currency: str,
) -> tuple[Asked, int]:
    """Also for how many hours a refund is held that need not wait. Raises `RefundLimitReached`.

    The rules are locked, so that no other refund of the clinic is counted too late.
    """
    status: RefundStatus = "created"
    if rules is not None:
        given = await refunds.count_given(tx, caller.clinic, caller.subject, currency)
        status = status_of(rules, given, amount, currency)
    hours = await receivables.get_undo_hours(tx, caller.clinic)
    if status == "created" and hours:
        status = "held"
    return Asked(caller.subject, on_behalf_of, status), hours


async def _sealed(tx: Connection, made: list[Refund], signer: Seal | None) -> list[Refund]:
    if signer is None:
        return made
    made = [seal_refund(refund, signer) for refund in made]
    await refunds.seal_refunds(tx, made)
    return made


async def _with_fees(
    tx: Connection, made: list[Refund], rules: Rules, seen: Mapping[UUID, AtStripe]
) -> list[Refund]:
    """The refunds, marked where a part of the application fee goes back: only where the charge has one."""
    if rules is None or not rules.refund_application_fee:
        return made
    with_fee = {refund.id for refund in made if refund.payment_id in seen and seen[refund.payment_id].has_fee}
    if not with_fee:
        return made
    await refunds.give_fee_back(tx, [refund for refund in made if refund.id in with_fee])
    return [replace(refund, refund_fee=refund.id in with_fee) for refund in made]


async def read_acts(tx: Connection, clinic_id: UUID, ids: Sequence[UUID]) -> list[HeldAct]:
    """Held acts as they are by now, in this order."""
    found = [await held_acts.get(tx, clinic_id, each) for each in ids]
    return [act for act in found if act is not None]


async def read_rules(tx: Connection, caller: Caller) -> RefundRules:
    return await refunds.get_rules(tx, caller.clinic)


async def put_rules(tx: Connection, caller: Caller, rules: RefundRules) -> RefundRules:
    before = await refunds.get_rules(tx, caller.clinic)
    await refunds.put_rules(tx, caller.clinic, rules)
    await audit.record(tx, caller, "put_refund_rules", caller.clinic, before, rules)
    return rules


async def _check_client(tx: Connection, clinic_id: UUID, client_id: UUID) -> None:
    if not await refunds.has_payments(tx, clinic_id, client_id):
        raise ClientNotFound(_NO_CLIENT)


async def _check_payment(tx: Connection, request: RefundRequest) -> None:
    if request.payment_id is None:
        return
    if await reads.get_payment(tx, request.client_id, request.payment_id) is None:
        raise PaymentNotFound("The client has no such payment.")
