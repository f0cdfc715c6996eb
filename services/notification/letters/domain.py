"""Letters: e-mails about a login, such as the one with the link to choose a new password. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.vocabulary import DeliveryState
from services.chassis import emails
from services.chassis.queue.domain import Canceled, Done, Failed, Outcome, Retry, Task, Waits

SOON = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A letter to queue. `path` is where its button leads in the portal; `ends_at`: when that works no more.

    `code` may be typed in its place.
    """

    template: str
    email: str
    path: str
    ends_at: datetime | None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter whose task is claimed. `left` is how long its link still works; None: for ever."""

    clinic_id: UUID
    id: UUID
    template: str
    email: str
    path: str
    ends_at: datetime | None
    left: timedelta | None
    task: Task
    code: str | None = None


def task_kind(template: str) -> str:
    """The kind of the tasks by which letters of a template are sent."""
    return f"letter.{template}"


def checked(letter: NewLetter) -> NewLetter:
    """The letter with its address as mail servers take it. Raises `EmailNotValid`."""
    return replace(letter, email=emails.address(letter.email))


def within_time(letter: Letter, outcome: Outcome) -> Outcome:
    """The outcome, with the next look no later than the end of the link: the address is kept no longer."""
    if letter.left is None or not isinstance(outcome, Retry | Waits):
        return outcome
    return replace(outcome, after=min(outcome.after, max(letter.left, SOON)))


def state_after(outcome: Outcome) -> DeliveryState:
    match outcome:
        case Done():
            return "sent"
        case Failed():
            return "failed"
        case Canceled():
            return "dropped"
        case Retry():
            return "due"
        case Waits():
            return "waiting"
