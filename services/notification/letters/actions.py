"""Queue letters and record their outcomes, each in the caller's transaction."""

from collections.abc import Sequence
from uuid import UUID

from services.chassis.db.database import Connection
from services.chassis.queue import queue
from services.chassis.queue.domain import Done, Failed, NewTask, Outcome, Retry, Task
from services.notification.letters import domain, store
from services.notification.letters.domain import Letter, NewLetter


async def queue_letter(tx: Connection, clinic_id: UUID, letter_id: UUID, letter: NewLetter) -> bool:
    """Queue a letter in the look of a clinic, once; False when it was queued before. Raises `EmailNotValid`."""
    added = await store.add_letter(tx, clinic_id, letter_id, domain.checked(letter))
    if added:
        await queue.enqueue(tx, domain.task_kind(letter.template), [NewTask(clinic_id, letter_id)])
    return added


async def claimed_letters(tx: Connection, tasks: Sequence[Task]) -> list[Letter]:
    """The letters of claimed tasks. A task without one that is to be sent still is ended."""
    if not tasks:
        return []
    found = await store.get_letters(tx, tasks)
    for task in tasks:
        if task.row not in found:
            await queue.end(tx, task, Done())
    return [found[task.row] for task in tasks if task.row in found]


async def record_outcome(tx: Connection, letter: Letter, outcome: Outcome) -> None:
    """Record the outcome of a claimed letter. A lost claim records nothing. No event is published of letters."""
    outcome = domain.within_time(letter, outcome)
    if await queue.end(tx, letter.task, outcome) is None:
        return
    tried = letter.task.attempts + isinstance(outcome, Done | Failed | Retry)
    reason = None if isinstance(outcome, Done) else outcome.reason
    await store.save_outcome(tx, letter, domain.state_after(outcome), tried, reason)
