"""Values and decisions of the queue. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal
from uuid import UUID

from services.chassis.ids import Key

TaskState = Literal["due", "done", "failed", "canceled"]

LEASE = timedelta(minutes=1)
"""How long a claim lasts. A handler that calls others ends well before it, or loses its claim."""
_SPREAD = 0.25
"""Tasks that failed together are not tried again together."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """Work to add to the queue, due `after` now. `payload` holds ids, amounts and codes, nothing personal."""

    clinic_id: UUID
    key: UUID
    after: timedelta = timedelta(0)
    payload: Mapping[str, Any] | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A claimed task. `claimed_until` is also the fence: after a lost claim no outcome is recorded.

    attempts    tries that failed before this one
    age         since it was added, by the database's clock
    """

    clinic_id: UUID
    kind: str
    key: UUID
    payload: Mapping[str, Any]
    traceparent: str | None
    attempts: int
    due_at: datetime
    claimed_until: datetime | None
    age: timedelta

    @property
    def row(self) -> Key:
        """(clinic, key): within one kind this names the task."""
        return self.clinic_id, self.key


@dataclass(frozen=True, slots=True)
class Done:
    """The work is done."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The work is given up."""

    reason: str


@dataclass(frozen=True, slots=True)
class Canceled:
    """The work is not needed any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """This try failed: another one later."""

    reason: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class Waits:
    """Something is not known yet: the task is looked at again later. This is no failed try."""

    reason: str
    after: timedelta


Outcome = Done | Failed | Canceled | Retry | Waits


@dataclass(frozen=True, slots=True)
class BackOff:
    """Pauses between tries: `first`, then twice as long each time, at most `longest`; given up after `tries`."""

    first: timedelta = timedelta(seconds=2)
    longest: timedelta = timedelta(hours=6)
    tries: int = 18
    """With the pauses above: about a day and a half."""

    def after(self, failed: int, reason: str, random: Random) -> Retry | Failed:
        """The outcome of the `failed`-th try that failed."""
        if failed >= self.tries:
            return Failed(reason)
        pause = min(self.first * 2 ** (failed - 1), self.longest)
        return Retry(reason, pause * random.uniform(1 - _SPREAD, 1 + _SPREAD))
