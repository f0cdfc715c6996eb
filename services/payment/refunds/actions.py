"""The verbs of refunds. Each takes the transaction first, and commits nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec

from contracts.money import Money
from services.chassis import audit, clock, idempotency
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.chassis.telemetry.traces import current_traceparent
from services.payment.credit import store
from services.payment.ledger import store as books
from services.payment.payments import reads
from services.payment.payments.domain import PaymentNotFound
from services.payment.refunds import domain as decide
from services.payment.refunds import store as refunds
from services.payment.refunds.domain import ClientNotFound, Refund, RefundRequest, Surplus
from services.payment.refunds.elsewhere import AtStripe, check_at_stripe
from services.payment.refunds.stripe_params import seal_refund
from services.payment.stripe.seal import Seal

MOST_SHOWN = 50
_NO_CLIENT = "No client of this clinic with this id has paid online."


@dataclass(frozen=True, slots=True)
class Credit:
    """A client's credit as staff see it. `refundable` may be less: a payment of the other mode cannot be refunded."""

    balances: list[Money]
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
    surpluses = await refunds.list_surpluses(tx, clinic_id, client_id, livemode)
    balances = await store.get_credit(tx, client_id)
    most = decide.refundable(surpluses, balances)
    return Credit(
        balances=balances,
        refundable=[Money(minor=most[currency], currency=currency) for currency in sorted(most)],
        surpluses=surpluses,
        refunds=await refunds.list_refunds(tx, clinic_id, client_id, MOST_SHOWN),
    )


async def start_refunds_once(
    tx: Connection,
    caller: Caller,
    request: RefundRequest,
    livemode: bool,
    seen: Mapping[UUID, AtStripe],
    signer: Seal | None,
    *,
    key: str | None,
    body: bytes,
) -> list[Refund]:
    """Make the refunds under an idempotency key: the same request again returns the refunds of the first one.

    Raises what `idempotency.claim` and `start_refunds` raise.
    """
    earlier = await idempotency.claim(tx, caller.clinic, key, body)
    if earlier is not None:
        return await refunds.get_refunds(tx, caller.clinic, msgspec.json.decode(earlier, type=list[UUID]))
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
    await _check_client(tx, caller.clinic, request.client_id)
    await _check_payment(tx, request)
    # Before the client's first surplus there is no surplus to lock, but always a balance.
    await store.lock_credit(tx, {(caller.clinic, request.client_id, request.currency)})
    surpluses = await refunds.list_surpluses(tx, caller.clinic, request.client_id, livemode)
    parts = decide.plan(request, surpluses, await store.get_credit(tx, request.client_id))
    check_at_stripe(parts, surpluses, seen)
    rows = [(new_id(), payment_id, amount) for payment_id, amount in parts]
    made = await refunds.add_refunds(tx, rows, caller.clinic, current_traceparent())
    if signer is not None:
        made = [seal_refund(refund, signer) for refund in made]
        await refunds.seal_refunds(tx, made)
    now = clock.now()
    await books.add_entries(tx, [decide.set_aside(refund, now) for refund in made])
    after = [[str(refund.id), refund.amount, refund.currency] for refund in made]
    await audit.record(tx, caller, "refund_credit", request.client_id, None, after)
    return made


async def _check_client(tx: Connection, clinic_id: UUID, client_id: UUID) -> None:
    if not await refunds.has_payments(tx, clinic_id, client_id):
        raise ClientNotFound(_NO_CLIENT)


async def _check_payment(tx: Connection, request: RefundRequest) -> None:
    if request.payment_id is None:
        return
    if await reads.get_payment(tx, request.client_id, request.payment_id) is None:
        raise PaymentNotFound("The client has no such payment.")
