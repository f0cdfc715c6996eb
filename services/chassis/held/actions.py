"""Hold an act, undo it, cancel it, and do it when it is due: each in the caller's transaction.

Locks are taken in one order: the task, the held act, what the act is about.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from contracts.vocabulary import MOST_UNDO_HOURS
from services.chassis import audit, exceptions
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError, Unavailable
from services.chassis.exceptions import Exceptional, Ways
from services.chassis.held import store
from services.chassis.held.domain import Act, AlreadyDone, HeldAct, HeldActNotFound, NotHeld, Preview, Wanted
from services.chassis.http.auth import Caller
from services.chassis.ids import Key
from services.chassis.queue import queue
from services.chassis.queue.domain import BackOff, Canceled, Done, NewTask, Outcome, Task
from services.chassis.queue.working import InTransaction

_BACK_OFF = BackOff(longest=timedelta(minutes=15), tries=12)
"""Over an hour of trying: then it is an exception."""


async def hold(tx: Connection, act: Act, wanted: Wanted, time: timedelta) -> HeldAct:
    """Reserve what the act needs and hold it for `time`; with 0 it is done in this transaction.

    Until it is due no number, event, e-mail or call to Stripe is made. Raises what refuses the act.
    """
    assert timedelta(0) <= time <= timedelta(hours=MOST_UNDO_HOURS), "a clinic's setting"
    preview = await act.preview(tx, wanted)
    await act.reserve(tx, wanted, preview)
    held = await store.add(tx, act.kind, wanted, preview, time)
    if time:
        await queue.enqueue(tx, act.task_kind, [NewTask(wanted.clinic_id, wanted.id, time)])
    else:
        held = await _do(tx, act, held, preview)
    await audit.record(tx, wanted.caller, f"hold_{act.kind}", wanted.subject_id, None, _entry(held))
    return held


async def undo(tx: Connection, caller: Caller, acts: Sequence[Act], act_id: UUID) -> HeldAct:
    """Undo an act that is held, and release what it reserved. To undo it again changes nothing.

    Waits for a transaction that is doing it. Raises `HeldActNotFound`, `AlreadyDone` once that is committed, and
    `NotHeld` when it ended otherwise.
    """
    act = _act_of(acts, await store.get(tx, caller.clinic, act_id))
    free = await queue.cancel(tx, act.task_kind, [(caller.clinic, act_id)], "undone")
    held = await store.lock(tx, caller.clinic, act_id)
    assert held is not None, "held acts of today are not deleted"
    if held.state == "undone":
        return held
    if held.state == "done":
        raise AlreadyDone("This was done, and can no longer be undone.", result_id=str(held.result_id))
    if held.state != "held" or not free:
        raise NotHeld("This is no longer held.", state=held.state)
    await act.release(tx, held.wanted)
    undone = await store.end(tx, held, "undone", by=caller.subject)
    await audit.record(tx, caller, f"undo_{act.kind}", held.subject_id, _entry(held), _entry(undone))
    return undone


async def cancel_of(
    tx: Connection, acts: Sequence[Act], subjects: Collection[Key], reason: str
) -> list[HeldAct]:
    """Cancel the acts that are held for these subjects, given as (clinic, subject), and release what they reserved.

    Call it before the subjects' rows are locked. One that is being done is waited for, and stays done.
    """
    by_kind = {act.kind: act for act in acts}
    canceled = []
    for held in await store.list_of(tx, by_kind, subjects):
        act = by_kind[held.kind]
        if await queue.cancel(tx, act.task_kind, [(held.clinic_id, held.id)], reason):
            await act.release(tx, held.wanted)
            canceled.append(await store.end(tx, held, "canceled", reason=reason))
    return canceled


def handlers(acts: Sequence[Act]) -> list[InTransaction]:
    """The handlers by which a service's worker does acts that are due."""
    return [
        InTransaction(act.task_kind, partial(_when_due, act), _BACK_OFF, partial(_given_up, act))
        for act in acts
    ]


def ways(acts: Sequence[Act]) -> Ways:
    """How an exception of a held act is settled: `dismiss` it, or `do` now what it would post now."""
    return {
        act.exception_kind: {"dismiss": exceptions.nothing, "do": partial(_do_changed, act)} for act in acts
    }


async def _when_due(act: Act, tx: Connection, task: Task) -> Outcome:
    """Do the act, if it would still post what its preview says; else make it an exception."""
    held = await store.lock(tx, task.clinic_id, task.key)
    if held is None or held.state != "held":
        return Canceled("not_held")
    cause = "posts_differ"
    attempt = tx.transaction()
    await attempt.start()
    try:
        preview = await act.preview(tx, held.wanted)
        if preview.hash == held.preview_hash:
            await _do(tx, act, held, preview)
            await attempt.commit()
            return Done()
    except Unavailable:
        raise
    except DomainError as refusal:
        cause = refusal.code
    await attempt.rollback()
    await _make_exception(tx, act, held, cause)
    return Canceled(cause)


async def _given_up(act: Act, tx: Connection, task: Task, reason: str) -> None:
    held = await store.lock(tx, task.clinic_id, task.key)
    if held is not None and held.state == "held":
        await _make_exception(tx, act, held, reason)


async def _do(tx: Connection, act: Act, held: HeldAct, preview: Preview) -> HeldAct:
    result_id = await act.do(tx, held.wanted, preview)
    return await store.end(tx, held, "done", result_id=result_id)


async def _make_exception(tx: Connection, act: Act, held: HeldAct, cause: str) -> None:
    await act.release(tx, held.wanted)
    await store.end(tx, held, "changed", reason=cause)
    detail = {"subject_id": str(held.subject_id), "posts": held.preview.posts}
    await exceptions.add(tx, held.clinic_id, act.exception_kind, held.id, cause, detail)


async def _do_changed(act: Act, tx: Connection, _: Caller, exception: Exceptional) -> None:
    held = await store.lock(tx, exception.clinic_id, exception.subject_id)
    assert held is not None and held.state == "changed", "its exception is open"
    preview = await act.preview(tx, held.wanted)
    await act.reserve(tx, held.wanted, preview)
    await _do(tx, act, held, preview)


def _act_of(acts: Sequence[Act], held: HeldAct | None) -> Act:
    if held is None:
        raise HeldActNotFound("There is no such held act.")
    return next(act for act in acts if act.kind == held.kind)


def _entry(held: HeldAct) -> dict[str, object]:
    """The state that the audit log compares."""
    return {"id": held.id, "state": held.state, "request": held.request, "ended_at": held.ended_at}
