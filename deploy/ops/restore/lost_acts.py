"""Money that moved without Stripe after the dump: recorded, used as credit, taken back, or refunded to credit.

No Stripe object brings it back, and the topics do not have all of it. So it is lost, as every request after the dump
is: invoice does not count it again, and the operator is told what to do once more.
"""

from collections.abc import Collection, Set
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from contracts.events.envelope import Method
from contracts.events.payment import PaymentSettled, PaymentState
from contracts.vocabulary import OUTSIDE_KINDS
from deploy.ops import database
from deploy.ops.consumers import groups
from deploy.ops.restore.seen import Seen
from deploy.ops.restore.words import in_words
from services.chassis.ids import Key, columns


class Lost(NamedTuple):
    """One that the topics have and payment's database has not; `family` as `clinicpay verify` names it."""

    family: str
    key: Key
    version: int
    client_id: UUID | None
    words: str
    """The act in words for an operator, who does it again; empty where another one's words say so."""


@dataclass(frozen=True, slots=True)
class Here:
    """The rows that payment's database has, of all that the topics name."""

    payments: Set[Key]
    movements: Set[Key]
    refunds: Set[Key]


def lost_of(seen: Seen, here: Here) -> list[Lost]:
    """Pure. A payment's charge and a refund to its method come back from Stripe, and so do their movements."""
    recorded = {
        key: state
        for key, state in seen.payments.items()
        if _without_stripe(state.method) and key not in here.payments
    }
    gone = {
        _payment(move) for move in seen.movements.values() if _without_stripe(move.method)
    } | recorded.keys()
    gone -= here.payments
    taken_back = {_payment(move) for move in seen.movements.values() if move.kind == "reversal"}
    found = [
        Lost("payment", key, state.version, state.client_id, "" if key in taken_back else _recorded(state))
        for key, state in recorded.items()
    ]
    for key, move in seen.movements.items():
        is_act = _without_stripe(move.method) or _payment(move) in gone or _is_to_credit(move)
        if is_act and key not in here.movements:
            found.append(Lost("movement", key, 0, None, _moved(move, here)))
    for key, refund in seen.refunds.items():
        if refund.destination == "credit" and key not in here.refunds:
            whose = f"client {refund.client_id} payment {refund.payment_id}"
            words = f"{whose} refunded to credit: {in_words(refund.amount)}"
            found.append(Lost("refund", key, 0, refund.client_id, words))
    return found


async def keep_lost_acts(admin: Any, payment_dsn: str, seen: Seen) -> list[Lost]:
    """Keep them in payment's database, and claim their movements for the readers. Returns the ones that are new."""
    lost = lost_of(seen, await _here(admin, seen))
    rows = await admin.fetch(
        """
        INSERT INTO lost_acts (clinic_id, family, id, version, client_id)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::uuid[])
        ON CONFLICT DO NOTHING RETURNING family, clinic_id, id
        """,
        [each.key[0] for each in lost],
        [each.family for each in lost],
        [each.key[1] for each in lost],
        [each.version for each in lost],
        [each.client_id for each in lost],
    )
    for group, (service, names) in groups().items():
        if PaymentSettled.topic.name in names:
            dsn = database.with_database(payment_dsn, database.database_name(service))
            await _claim(dsn, group, [each.key[1] for each in lost if each.family == "movement"])
    new = {(row["family"], (row["clinic_id"], row["id"])) for row in rows}
    return [each for each in lost if (each.family, each.key) in new]


async def _claim(dsn: str, group: str, event_ids: list[UUID]) -> None:
    """Let the group read these events again without an effect."""
    async with database.connected(dsn) as admin:
        await admin.execute(
            "INSERT INTO inbox (consumer, event_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING",
            group,
            event_ids,
        )


def _without_stripe(method: Method | None) -> bool:
    return method is not None and method.kind in (*OUTSIDE_KINDS, "credit")


def _is_to_credit(move: PaymentSettled) -> bool:
    return move.kind == "refund" and move.method is None


def _payment(move: PaymentSettled) -> Key:
    return move.clinic_id, move.payment_id


def _moved(move: PaymentSettled, here: Here) -> str:
    """A movement of which no other line speaks."""
    if move.kind == "credit" and move.amount.minor > 0:
        return f"invoice {move.invoice_id} paid with credit: {in_words(move.amount)}"
    if move.kind == "reversal" and _payment(move) in here.payments:
        return f"payment {move.payment_id} taken back"
    return ""


def _recorded(state: PaymentState) -> str:
    assert state.method is not None, "it is recorded"
    parts = ", ".join(f"{in_words(share.amount)} of invoice {share.invoice_id}" for share in state.invoices)
    return f"client {state.client_id} {state.method.kind}: {in_words(state.amount)}" + (
        f" ({parts})" if parts else ""
    )


async def _here(admin: Any, seen: Seen) -> Here:
    named = {_payment(move) for move in seen.movements.values()} | seen.payments.keys()
    return Here(
        await _rows(admin, "payments", named),
        await _rows(admin, "movements", seen.movements),
        await _rows(admin, "refunds", seen.refunds),
    )


async def _rows(admin: Any, table: str, keys: Collection[Key]) -> set[Key]:
    rows = await admin.fetch(
        f"SELECT clinic_id, id FROM {table}"
        " WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))",
        *columns(keys),
    )
    return {(row["clinic_id"], row["id"]) for row in rows}
