"""The verbs of money outside Stripe. Each takes the transaction first, and commits nothing."""

from collections.abc import Collection
from uuid import UUID

import asyncpg
import msgspec

from services.chassis import audit, clock, idempotency
from services.chassis.currencies import known_currency
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.payment.credit import store as credit
from services.payment.credit.actions import lock_changed_credit
from services.payment.ledger import actions as ledger
from services.payment.ledger import store as books
from services.payment.ledger.domain import CreditOverdrawn
from services.payment.outside import domain, store
from services.payment.outside.domain import (
    AlreadyReversed,
    Count,
    CreditWanted,
    NotRecordedHere,
    Origin,
    Taken,
)
from services.payment.payments import credit_uses, lines, reads
from services.payment.payments import store as payments
from services.payment.payments.actions import book_used_credit
from services.payment.payments.domain import Payment, PaymentNotFound
from services.payment.receivables import store as receivables
from services.payment.receivables.domain import (
    JUST_ISSUED,
    Receivable,
    ReceivableNotFound,
    ReceivableUnknown,
    may_still_come,
)
from services.payment.words import words


async def record(
    tx: Connection,
    caller: Caller,
    taken: Taken,
    origin: Origin,
    livemode: bool,
    *,
    key: str | None,
    body: bytes,
    issued: Collection[UUID] = (),
    client_known: bool = False,
) -> Payment:
    """Book money that the clinic took, under an idempotency key: the same request again is the same payment.

    `issued` are the client's newest invoices: money for no named invoice waits until they are here. `client_known`:
    the clinic has the client, who may have no invoice yet.

    Raises what `idempotency.claim`, `domain.check` and `domain.parts_of` raise, `UnknownCurrency`, `InvalidText`,
    `LooksLikeACard`, `ReceivableUnknown`, `ReceivableNotFound`.
    """
    earlier = await idempotency.claim(tx, caller.clinic, key, idempotency.named("record_payment", None, body))
    if earlier is not None:
        return await _get(tx, msgspec.json.decode(earlier, type=UUID))
    origin = Origin(
        words(origin.location, "location", 100),
        words(origin.reference, "reference", 200),
        words(origin.on_behalf_of, "on_behalf_of", 200),
    )
    domain.check(taken, clock.now())
    if taken.shares is None:  # Invoices of a currency that has gone can still be paid.
        known_currency(taken.currency)
    await _check_client(tx, caller.clinic, taken, issued, client_known)
    payment = await _book(tx, caller, taken, livemode)
    await store.add_record(tx, payment.key, origin, str(caller.subject))
    await _keep(tx, caller, key, payment)
    await audit.record(tx, caller, "record_payment", payment.id, None, [payment.kind, payment.amount, origin])
    lines.tell(payment)
    return payment


async def use_credit(
    tx: Connection,
    caller: Caller,
    wanted: CreditWanted,
    livemode: bool,
    *,
    key: str | None,
    body: bytes,
    issued: Collection[UUID] = (),
    client_known: bool = False,
) -> Payment:
    """Pay invoices with the client's credit, under an idempotency key. No Stripe is called, and no receipt is sent.

    `issued` are the client's newest invoices: credit for no named invoice waits until they are here.

    Raises what `idempotency.claim`, `domain.check` and `domain.parts_of` raise, `NoCredit`, `CreditOverdrawn`,
    `ReceivableUnknown`.
    """
    earlier = await idempotency.claim(tx, caller.clinic, key, idempotency.named("use_credit", None, body))
    if earlier is not None:
        return await _get(tx, msgspec.json.decode(earlier, type=UUID))
    await _check_client(tx, caller.clinic, wanted, issued, client_known)
    owed = await _owed(tx, caller.clinic, wanted)
    credit_key = (caller.clinic, wanted.client_id, wanted.currency)
    free = (await credit.lock_credit(tx, {credit_key}))[credit_key]
    parts = domain.credit_parts(wanted, free, owed)
    used = credit_uses.use(
        clinic_id=caller.clinic,
        payment_id=new_id(),
        client_id=wanted.client_id,
        livemode=livemode,
        currency=wanted.currency,
        parts=parts,
        now=clock.now(),
    )
    await book_used_credit(tx, used, credit_uses.settle(owed, parts))
    await _keep(tx, caller, key, used.payment)
    await audit.record(
        tx, caller, "use_credit", used.payment.id, None, [sum(parts.values()), wanted.currency]
    )
    lines.tell(used.payment)
    return used.payment


async def _check_client(
    tx: Connection, clinic_id: UUID, taken: Taken | CreditWanted, issued: Collection[UUID], known: bool
) -> None:
    """Refuse a client whom the clinic does not have, and wait for the newest invoices, unless invoices are named.

    Money that came before these would be credit, and leave them unpaid. `known`: the caller has seen that the clinic
    has the client, of whom nothing is known here before the first invoice.
    """
    if taken.shares is not None:
        return
    missing = await receivables.list_unknown(tx, clinic_id, issued)
    if any(may_still_come(each, clock.now()) for each in missing):
        raise ReceivableUnknown(JUST_ISSUED)
    if not known and not await receivables.is_client(tx, clinic_id, taken.client_id):
        raise ReceivableNotFound("The clinic has issued no invoice to this client.", field="client_id")


async def _book(tx: Connection, caller: Caller, taken: Taken, livemode: bool) -> Payment:
    owed = await _owed(tx, caller.clinic, taken)
    parts = domain.parts_of(taken, owed)
    booked = domain.record(
        taken,
        parts,
        owed,
        clinic_id=caller.clinic,
        payment_id=new_id(),
        livemode=livemode,
        now=clock.now(),
    )
    await lock_changed_credit(tx, booked.booking.entries)
    await payments.add_payment(tx, booked.payment)
    await payments.save_payments(tx, [booked.payment])
    await receivables.save_receivables(tx, booked.receivables)
    await ledger.book(tx, booked.booking)
    return booked.payment


async def _owed(tx: Connection, clinic_id: UUID, taken: Taken | CreditWanted) -> list[Receivable]:
    """The receivables that the money or credit may pay, locked, in the order of payment.

    Raises `ReceivableUnknown` for a named one that may have been issued a moment ago.
    """
    ids = (
        list(taken.shares)
        if taken.shares is not None
        else await store.list_open(tx, clinic_id, taken.client_id, taken.currency)
    )
    locked = await receivables.lock_receivables(tx, {(clinic_id, each) for each in ids})
    if any((clinic_id, each) not in locked and may_still_come(each, clock.now()) for each in ids):
        raise ReceivableUnknown(JUST_ISSUED)
    return [locked[clinic_id, each] for each in ids if (clinic_id, each) in locked]


async def take_back(
    tx: Connection, caller: Caller, payment_id: UUID, reason: str, *, key: str | None, body: bytes
) -> Payment:
    """Take a recorded payment back. Its invoices are due again; a part that became credit must still be there.

    Raises `PaymentNotFound`, `NotRecordedHere`, `AlreadyReversed`, `CreditOverdrawn`, `InvalidText`,
    `LooksLikeACard`.
    """
    earlier = await idempotency.claim(
        tx, caller.clinic, key, idempotency.named("reverse_payment", payment_id, body)
    )
    if earlier is not None:
        return await _get(tx, msgspec.json.decode(earlier, type=UUID))
    reason = words(reason, "reason", 500, least=1)
    payment = await _get(tx, payment_id)
    ids = {(caller.clinic, share.receivable_id) for share in payment.allocations}
    locked = await receivables.lock_receivables(tx, ids)
    await payments.lock_payments(tx, {payment.key})
    found = await store.get_reversal(tx, payment.key)
    if found is None:
        raise NotRecordedHere("Only a payment that staff recorded can be taken back. Refund this one.")
    if found[0] is not None:
        raise AlreadyReversed("This payment was taken back already.", reversed_at=found[0].isoformat())
    now = clock.now()
    kept = await store.list_kept(tx, payment.key)
    undone = domain.take_back(payment, kept, list(locked.values()), now)
    await lock_changed_credit(tx, undone.booking.entries)
    due = {each.id: each.open_amount for each in undone.receivables}
    await store.mark_reversed(tx, payment.key, kept, due, reason, now)
    await receivables.save_receivables(tx, undone.receivables)
    try:
        await ledger.book(tx, undone.booking)
    except CreditOverdrawn:
        raise CreditOverdrawn(
            "A part of this payment became credit that the client has used since, or is paying with now."
        ) from None
    await _keep(tx, caller, key, payment)
    await audit.record(tx, caller, "reverse_payment", payment.id, None, reason)
    lines.tell(payment, "reversed")
    return payment


async def close_cash(
    tx: Connection, caller: Caller, count: Count, *, key: str | None, body: bytes
) -> asyncpg.Record:
    """Count a location's cash, and book the difference from what was taken since the last count.

    Raises what `idempotency.claim` raises, `UnknownCurrency`, `InvalidText`.
    """
    earlier = await idempotency.claim(tx, caller.clinic, key, idempotency.named("close_cash", None, body))
    if earlier is not None:
        return await _closing(tx, caller, msgspec.json.decode(earlier, type=UUID))
    known_currency(count.currency)
    location = words(count.location, "location", 100)
    note = words(count.note, "note", 500)
    closing_id, now = new_id(), clock.now()
    await store.add_closing(
        tx, caller.clinic, closing_id, location, count.currency, note, str(caller.subject), now
    )
    expected = await store.count_expected(tx, caller.clinic, closing_id, location, count.currency)
    await store.save_closing(tx, caller.clinic, closing_id, expected, count.counted)
    entry = domain.count_cash(closing_id, caller.clinic, count.currency, expected, count.counted, now)
    if entry is not None:
        await books.add_entries(tx, [entry])
    assert key is not None, "claimed"
    await idempotency.keep(tx, caller.clinic, key, msgspec.json.encode(closing_id))
    await audit.record(tx, caller, "close_cash", closing_id, None, [location, expected, count.counted])
    return await _closing(tx, caller, closing_id)


async def _closing(tx: Connection, caller: Caller, closing_id: UUID) -> asyncpg.Record:
    [row] = await store.list_closings(tx, caller.clinic, closing_id, None, 1)
    return row


async def _get(tx: Connection, payment_id: UUID) -> Payment:
    payment = await reads.get_payment(tx, None, payment_id)
    if payment is None:
        raise PaymentNotFound("There is no such payment.")
    return payment


async def _keep(tx: Connection, caller: Caller, key: str | None, payment: Payment) -> None:
    assert key is not None, "claimed"
    await idempotency.keep(tx, caller.clinic, key, msgspec.json.encode(payment.id))
